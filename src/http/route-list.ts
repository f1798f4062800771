import { nearestName } from '../config/nearest-name.js';

/** The routes of the app, to tell a caller who missed one what would be right. */
export class RouteList {
  private readonly methods = new Map<string, Set<string>>();

  /** `pattern` as the router has it: `/v1/jobs/:id`. Routes that take any path are of no help and left out. */
  add(method: string | readonly string[], pattern: string): void {
    if (pattern.includes('*')) return;
    const known = this.methods.get(pattern) ?? new Set();
    for (const each of typeof method === 'string' ? [method] : method) known.add(each);
    this.methods.set(pattern, known);
  }

  /** The methods that a path has; none if there is nothing at it. */
  methodsOf(path: string): string[] {
    const found = [...this.methods].filter(([pattern]) => isMatch(pattern, path));
    return [...new Set(found.flatMap(([, methods]) => [...methods]))].sort();
  }

  /** The path that was probably meant; null if none is near. */
  nearest(path: string): string | null {
    const candidates = [path.replace(/\/+$/, ''), `/v1${path}`, `/v1${path.replace(/\/+$/, '')}`];
    const exact = candidates.find((candidate) => candidate !== path && this.methodsOf(candidate).length > 0);
    return (
      exact ??
      nearestName(
        path,
        [...this.methods.keys()].filter((pattern) => pattern !== '/'),
      )
    );
  }
}

function isMatch(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return false;
  return wanted.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]));
}
