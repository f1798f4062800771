import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What `package.json`, two folders above the built files, says of this Baton. Throws if it is not there. */
export function packageFacts(): { readonly version: string; readonly description: string } {
  return JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as {
    version: string;
    description: string;
  };
}
