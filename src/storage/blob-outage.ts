/** A store of files that cannot be reached, or does not let Baton in. Its message says which, what was tried, and what came of it. */
export class BlobOutage extends Error {
  override readonly name = 'BlobOutage';
}
