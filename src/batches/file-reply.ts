import { toPublicId } from '../storage/ids.js';
import type { FilePurpose } from './file-terms.js';
import type { FileDto } from './files.dto.js';
import type { FileRow } from './files.repository.js';

/** A file as users see it. */
export function toFile(row: FileRow): FileDto {
  return {
    id: toPublicId('file', row.id),
    object: 'file',
    bytes: row.bytes,
    created_at: toSeconds(row.created_at),
    expires_at: row.expires_at && toSeconds(row.expires_at),
    filename: row.filename,
    // Only these words are ever written.
    purpose: row.purpose as FilePurpose,
    status: 'processed',
    status_details: null,
  };
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
