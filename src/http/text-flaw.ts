/**
 * What keeps a text from being kept as it is, in a few words; null if nothing does. PostgreSQL holds no NUL, and UTF-8 has no
 * place for half of a surrogate pair; JSON can carry both.
 */
export function textFlaw(text: string): string | null {
  if (text.includes('\u0000')) return 'NUL (U+0000)';
  return /\p{Surrogate}/u.test(text) ? 'half of a surrogate pair (U+D800 to U+DFFF)' : null;
}
