/** Paths that end in a name which has slashes of its own, as models have. */
const SLASHED = ['/v1/models/'];

/**
 * The URL with such a name as one part of the path, whether it came so (`deepseek%2Fdeepseek-chat`, as clients write it) or
 * with its slashes as they are, as people do; any other URL as it is.
 */
export function withNameAsOnePart(url: string): string {
  const start = SLASHED.find((each) => url.startsWith(each));
  if (start === undefined) return url;
  const [name = ''] = url.slice(start.length).split('?', 1);
  const end = start.length + name.length;
  return start + name.replaceAll('/', '%2F') + url.slice(end);
}
