/** The embedded PostgreSQL cannot be had here; the message is a sentence for the operator that says what to do. */
export class EmbeddedServerError extends Error {
  override readonly name = 'EmbeddedServerError';
}

/** Turns what the file system answered into an {@link EmbeddedServerError}; what is no such answer stays as it is. */
export function explainFileError(error: unknown, dataDir: string): unknown {
  if (typeof error !== 'object' || error === null || !('code' in error)) return error;
  const path = 'path' in error && typeof error.path === 'string' ? error.path : dataDir;
  const sentence = sentenceFor(String(error.code), path, dataDir);
  return sentence === null ? error : new EmbeddedServerError(sentence, { cause: error });
}

function sentenceFor(code: string, path: string, dataDir: string): string | null {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `No permission for ${path}. Make Baton's user the owner of ${dataDir}, or set BATON_DATA_DIR to a folder of its own.`;
    case 'EROFS':
      return `${path} is on a read-only file system. Set BATON_DATA_DIR to a folder that can be written.`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `No space is left for ${path}. Free some, or set BATON_DATA_DIR to a folder on another disk.`;
    case 'EEXIST':
    case 'ENOTDIR':
      return `${path} is not a folder. Remove the file there, or set BATON_DATA_DIR to another folder.`;
    default:
      return null;
  }
}
