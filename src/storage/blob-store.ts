/** Where the bytes of files live, behind one small interface. A blob is written once, from its first byte to its last, and never changed. */
export interface BlobStore {
  /** As `files.kept_in` names it. */
  readonly kind: BlobStoreKind;

  /** Begins a blob. Nobody may read it before the writer is closed. */
  write(id: string): BlobWriter;

  /**
   * The bytes from `start` up to but not including `end`, in pieces of at most some hundred KiB, so that a reader of any
   * blob holds little of it. Throws if the store is away or the blob is not there.
   */
  read(id: string, start: number, end: number): AsyncIterable<Buffer>;

  /** Removes a blob, whole or half written. One that is not there is no error. */
  remove(id: string): Promise<void>;
}

export type BlobStoreKind = 'database' | 's3';

/** Takes the bytes of one blob. */
export interface BlobWriter {
  /** Takes more bytes; resolves when it can take the next ones. Throws if the store is away: then {@link abort}. */
  append(bytes: Buffer): Promise<void>;
  /** Resolves when every byte is durable. */
  close(): Promise<void>;
  /** Gives up, and removes what was written. Answers whether nothing is left; never throws. */
  abort(): Promise<boolean>;
}
