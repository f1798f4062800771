import { BlobOutage } from './blob-outage.js';
import type { BlobStore, BlobStoreKind } from './blob-store.js';
import type { PostgresBlobs } from './postgres-blobs.js';

/** The stores of files' bytes that this process has. */
export class Blobs {
  /** Where new files go. */
  readonly store: BlobStore;

  /** `drafts` takes what is written little by little, inside of transactions; `s3` is null where none is configured. */
  constructor(
    readonly drafts: PostgresBlobs,
    private readonly s3: BlobStore | null,
  ) {
    this.store = s3 ?? drafts;
  }

  /** The store of that kind: a file stays where it was written, whatever the configuration says now. Throws {@link BlobOutage} if it is not configured. */
  of(kind: BlobStoreKind): BlobStore {
    if (kind === 'database') return this.drafts;
    if (this.s3) return this.s3;
    throw new BlobOutage(
      'A file is kept in S3, and S3_BUCKET is not set: set it as it was when the file was made',
    );
  }
}
