/** The Baton of the commit before the newest migration, built from this repository's history beside today's packages. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const MIGRATIONS = 'src/storage/migrations';

/** The path of the newest migration, from the root. */
export function newestMigration(): string {
  return join(MIGRATIONS, readdirSync(join(ROOT, MIGRATIONS)).sort().at(-1) ?? '');
}

/** The commit before the one that brought the newest migration; null where the history does not reach so far. */
export function commitBefore(): string | null {
  try {
    const added = git('log', '--diff-filter=A', '--format=%H', '--', newestMigration())
      .trim()
      .split('\n')
      .at(-1);
    // In a history that was cut off, the oldest commit seems to bring everything.
    return added ? git('rev-parse', '--verify', '--quiet', `${added}^`).trim() : null;
  } catch {
    return null;
  }
}

/** Builds that commit in `folder`; gives its `main.js`. */
export function buildCommit(commit: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const archive = execFileSync('git', ['archive', commit], { cwd: ROOT, maxBuffer: 2 ** 28 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  execFileSync('npm', ['run', 'build', '--silent'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'dist/main.js');
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
