/** What a file may be uploaded for, as OpenAI has it. Baton itself reads `batch` files; the others it only keeps. */
export const UPLOAD_PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] as const;
export type UploadPurpose = (typeof UPLOAD_PURPOSES)[number];

/** What the files are for that a user sees. */
export const FILE_PURPOSES = [...UPLOAD_PURPOSES, 'batch_output'] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** How long a file is kept, counted from when it was made, in seconds. */
export const FILE_LIFE = { shortest: 3600, longest: 2_592_000, normal: 2_592_000 } as const;
