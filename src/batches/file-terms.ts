/** What a file may be uploaded for, as OpenAI has it. Baton itself reads `batch` files; the others it only keeps. */
export const UPLOAD_PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] as const;
export type UploadPurpose = (typeof UPLOAD_PURPOSES)[number];

/** What the files are for that a user sees. */
export const FILE_PURPOSES = [...UPLOAD_PURPOSES, 'batch_output'] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** How long a file is kept, counted from when it was made, in seconds. */
export const FILE_LIFE = { shortest: 3600, longest: 2_592_000, normal: 2_592_000 } as const;

/** What {@link isLife} asks for, to be read behind "must be". */
export const LIFE_RULE = `a whole number from ${FILE_LIFE.shortest} to ${FILE_LIFE.longest}`;

/** Whether a file may be kept for so many seconds. */
export function isLife(seconds: unknown): seconds is number {
  return (
    Number.isInteger(seconds) && Number(seconds) >= FILE_LIFE.shortest && Number(seconds) <= FILE_LIFE.longest
  );
}
