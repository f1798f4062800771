import type { S3, S3ServiceException } from '@aws-sdk/client-s3';
import type { S3Config } from '../config/config.js';
import { BlobOutage } from './blob-outage.js';
import type { BlobStore, BlobWriter } from './blob-store.js';

/** What is sent at once; S3 takes no parts below 5 MiB but the last, and at most 10,000 of them. */
const PART_BYTES = 8 * 1024 * 1024;
/** What is asked for at once. Nothing is held open at the store while a slow client takes it in. */
const WINDOW_BYTES = 2 * 1024 * 1024;
/** What is given out at once. */
const PIECE_BYTES = 512 * 1024;
/** How often bytes are asked for whose connection broke in the middle. The client itself repeats requests that fail. */
const MOST_READS = 3;
const CONNECT_TIMEOUT_MS = 5_000;
/** For one request with its answer: 8 MiB in that time need 1.1 Mbit/s. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * Blobs as objects of an S3-compatible store. Nothing is asked of it before the first blob, so that Baton starts without it.
 * Whatever keeps us from it is a {@link BlobOutage}.
 */
export class S3Blobs implements BlobStore {
  readonly kind = 's3';
  private loading: Promise<S3> | undefined;

  constructor(private readonly config: S3Config) {}

  write(id: string): BlobWriter {
    return new PartWriter(this, id);
  }

  async *read(id: string, start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end;) {
      const window = await this.window(id, at, Math.min(at + WINDOW_BYTES, end));
      at += window.length;
      for (let from = 0; from < window.length; from += PIECE_BYTES) {
        yield window.subarray(from, from + PIECE_BYTES);
      }
    }
  }

  async remove(id: string): Promise<void> {
    await this.abortUploads(id);
    await this.ask('delete an object', (s3) => s3.deleteObject(this.place(id)));
  }

  /** The bucket and the name of a blob's object. */
  place(id: string): { Bucket: string; Key: string } {
    return { Bucket: this.config.bucket, Key: `${this.config.prefix}${id}` };
  }

  /** Does something at the store. Throws {@link BlobOutage}, which says what was tried. */
  async ask<T>(deed: string, work: (s3: S3) => Promise<T>): Promise<T> {
    try {
      return await work(await (this.loading ??= this.load()));
    } catch (error) {
      const where = `bucket ${this.config.bucket} at ${this.config.endpoint ?? 'Amazon S3'}`;
      throw new BlobOutage(`Cannot ${deed} in ${where}: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** The bytes from `start` on, up to `end`. */
  private async window(id: string, start: number, end: number): Promise<Buffer> {
    const range = { ...this.place(id), Range: `bytes=${start}-${end - 1}` };
    for (let reads = 1; ; reads++) {
      const { Body } = await this.ask('read an object', (s3) => s3.getObject(range));
      try {
        const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
        if (bytes.length === end - start) return bytes;
        throw new Error(`it has ${bytes.length} of the bytes ${start} to ${end - 1}`);
      } catch (error) {
        if (reads < MOST_READS) continue;
        throw new BlobOutage(`Cannot read the object ${range.Key} to its end: ${reasonOf(error)}`, {
          cause: error,
        });
      }
    }
  }

  /** Ends uploads that a process has left behind; they cost as much as objects, and nobody sees them. */
  private async abortUploads(id: string): Promise<void> {
    const { Bucket, Key } = this.place(id);
    const list = (s3: S3) => s3.listMultipartUploads({ Bucket, Prefix: Key }).catch(noneIfRefused);
    const found = await this.ask('list unfinished uploads', list);
    for (const { UploadId, Key: key } of found.Uploads ?? []) {
      if (key !== Key) continue;
      await this.ask('abort an upload', (s3) => s3.abortMultipartUpload({ Bucket, Key, UploadId }));
    }
  }

  /** The client takes 20 MB and more, so it is loaded only where it is used. */
  private async load(): Promise<S3> {
    const { S3: Client } = await import('@aws-sdk/client-s3');
    const { endpoint, region, accessKeyId, secretAccessKey } = this.config;
    return new Client({
      region,
      credentials: { accessKeyId, secretAccessKey },
      // Other stores than Amazon's seldom have a host name for each bucket, and know checksums only in part.
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        throwOnRequestTimeout: true,
      },
    });
  }
}

/** Sends a small blob at once, and a large one in parts. Holds one part. */
class PartWriter implements BlobWriter {
  private readonly part = Buffer.allocUnsafe(PART_BYTES);
  private filled = 0;
  private uploadId: string | undefined;
  private readonly sent: { PartNumber: number; ETag: string | undefined }[] = [];

  constructor(
    private readonly store: S3Blobs,
    private readonly id: string,
  ) {}

  async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      // Not before there is more: what just fills one part is sent at once by `close`.
      if (this.filled === PART_BYTES) await this.sendPart();
      const taken = bytes.copy(this.part, this.filled, at);
      this.filled += taken;
      at += taken;
    }
  }

  async close(): Promise<void> {
    const place = this.store.place(this.id);
    if (this.uploadId === undefined) {
      const Body = this.part.subarray(0, this.filled);
      await this.store.ask('write an object', (s3) => s3.putObject({ ...place, Body }));
      return;
    }
    if (this.filled > 0) await this.sendPart();
    const whole = { ...place, UploadId: this.uploadId, MultipartUpload: { Parts: this.sent } };
    await this.store.ask('complete an upload', (s3) => s3.completeMultipartUpload(whole));
  }

  async abort(): Promise<boolean> {
    const { store, uploadId: UploadId } = this;
    try {
      if (UploadId !== undefined) {
        const upload = { ...store.place(this.id), UploadId };
        // Where no list of unfinished uploads can be had, nobody else knows its id.
        await store.ask('abort an upload', (s3) => s3.abortMultipartUpload(upload)).catch(() => undefined);
      }
      // Whatever we were told, the last request may have been carried out.
      await store.remove(this.id);
      return true;
    } catch {
      return false;
    }
  }

  private async sendPart(): Promise<void> {
    const place = this.store.place(this.id);
    if (this.uploadId === undefined) {
      const made = await this.store.ask('begin an upload', (s3) => s3.createMultipartUpload(place));
      this.uploadId = made.UploadId;
    }
    const PartNumber = this.sent.length + 1;
    const part = { ...place, UploadId: this.uploadId, PartNumber, Body: this.part.subarray(0, this.filled) };
    const { ETag } = await this.store.ask('send a part', (s3) => s3.uploadPart(part));
    this.sent.push({ PartNumber, ETag });
    this.filled = 0;
  }
}

/** Some stores have no such list, and some keys may not see it: what is left behind is then for the bucket's own rules. */
function noneIfRefused(error: unknown): { Uploads: undefined } {
  const status = (error as Partial<S3ServiceException>).$metadata?.httpStatusCode ?? 0;
  if ([403, 405, 501].includes(status)) return { Uploads: undefined };
  throw error;
}

function reasonOf(error: unknown): string {
  const { name, message, code } = error as { name?: string; message?: string; code?: string };
  const words = [code, name === 'Error' ? undefined : name, message].filter((word) => word);
  return words.length > 0 ? words.join(': ') : String(error);
}
