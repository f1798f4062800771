import type { FilePurpose } from './file-terms.js';

/** A file, as OpenAI has it. */
export class FileDto {
  id: string;
  object: 'file';
  /** Its size. */
  bytes: number;
  created_at: number;
  /** When it is deleted by itself. */
  expires_at: number | null;
  filename: string;
  purpose: FilePurpose;
  /** A file is seen only once it is whole. */
  status: 'processed';
  /** Always null; OpenAI once said here why a file was refused. */
  status_details: string | null;
}

/** A page of files. */
export class FileListDto {
  object: 'list';
  data: FileDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** A file that is deleted. */
export class DeletedFileDto {
  id: string;
  object: 'file';
  deleted: true;
}
