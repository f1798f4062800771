/** What the pages promise of places: links lead somewhere, files that are named are there, routes and metrics are all told. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

const ROOT = join(__dirname, '../..');
const PAGES = ['README.md', 'CHANGELOG.md', ...filesUnder('docs', '.md')];

/** Paths of files below a folder, from the root. */
function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
    .sort();
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** All that one group of a pattern catches in a text, each once. */
function caught(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, first = '']) => first))].sort();
}

/** The names under which a page's headings can be linked to, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return caught(read(page), /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** A link's target within the repository that is not there; null if it is, or leads elsewhere. */
function brokenLink(page: string, link: string): string | null {
  if (/^[a-z]+:/.test(link)) return null;
  const [path = '', anchor] = link.split('#', 2);
  const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
  if (!existsSync(join(ROOT, target))) return link;
  return anchor === undefined || anchorsOf(target).includes(anchor) ? null : link;
}

/** `GET /v1/jobs/{id}` for each method of each controller. */
function routesOfControllers(): string[] {
  return filesUnder('src', '.controller.ts').flatMap((file) => {
    const source = read(file);
    const [prefix = ''] = caught(source, /@Controller\('?([^')]*)'?\)/g);
    return [...source.matchAll(/^ {2}@(Get|Post|Put|Patch|Delete)\('?([^')]*)'?\)/gm)].map(
      ([, method = '', path = '']) =>
        `${method.toUpperCase()} /${[prefix, path].filter(Boolean).join('/')}`.replaceAll(/:(\w+)/g, '{$1}'),
    );
  });
}

/** The folders right under `src/`. */
function roomsOfSource(): string[] {
  const entries = readdirSync(join(ROOT, 'src'), { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}

/** A cell of the table of rooms in the checker's words. */
function importsOf(cell: string): string {
  if (cell === 'nothing at all') return 'no other room';
  if (cell === 'config only') return 'config';
  return [...cell.split(', ').filter(Boolean), 'config', 'telemetry'].join(', ');
}

const ROUTE = /\b((?:GET|POST|PUT|PATCH|DELETE) \/[a-z0-9_/{}]+)/g;

describe('the docs', () => {
  it.each(PAGES)('lead somewhere with each link of %s', (page) => {
    const links = caught(read(page), /\]\(([^)\s]+)\)/g);
    expect(links.map((link) => brokenLink(page, link)).filter((link) => link !== null)).toEqual([]);
  });

  it.each(PAGES)('name only files that are there in %s', (page) => {
    const paths = caught(read(page), /(?<![\w/.-])((?:src|test|docs)\/[\w-]+(?:[/.][\w-]+)*)/g);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('tell every route in api.md, and none that is not there', () => {
    const routes = routesOfControllers().sort();
    expect(routes).toContain('POST /v1/jobs/{id}/cancel');
    expect(caught(read('docs/api.md'), ROUTE)).toEqual(routes);
  });

  it.each(PAGES)('name no route that is not there in %s', (page) => {
    const routes = routesOfControllers();
    const told = caught(read(page), ROUTE).filter((route) => route.includes(' /v1/'));
    expect(told.filter((route) => !routes.includes(route))).toEqual([]);
  });

  it('tell every filter of the list of jobs in api.md', () => {
    const filters = caught(read('src/jobs/job-filters.ts'), /^ {2}(\w+): \(text/gm);
    const section = read('docs/api.md').split('## List jobs')[1]?.split('\n## ')[0] ?? '';
    expect(filters).toContain('served_by');
    expect(filters.filter((filter) => !section.includes(`\`${filter}\``))).toEqual([]);
  });

  it('tell every metric in operations.md, and none that is not there', () => {
    const metrics = caught(read('src/telemetry/metrics.service.ts'), /'(baton_\w+)'/g);
    expect(metrics).toContain('baton_attempts_total');
    expect(caught(read('docs/operations.md'), /`(baton_\w+)`/g)).toEqual(metrics);
  });

  it('tell every room in architecture.md, and what the checker lets it import', () => {
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((each) =>
      each.isDirectory(),
    );
    const table = [...read('docs/architecture.md').matchAll(/^\| `([a-z-]+)` +\|[^|]+\|([^|]+)\|$/gm)];
    const told = table.map(([, room = '', cell = '']) => `${room} may import ${importsOf(cell.trim())}.`);
    const { forbidden } = createRequire(__filename)(join(ROOT, '.dependency-cruiser.cjs')) as {
      forbidden: { name: string; comment?: string }[];
    };
    const kept = rooms.map(
      ({ name }) => forbidden.find((rule) => rule.name === `room-${name}`)?.comment ?? `no rule for ${name}`,
    );
    expect(told.sort()).toEqual(kept.sort());
  });

  it('tell every room on the map in the README', () => {
    const [, map = ''] = read('README.md').split('## The map');
    expect(caught(map, /^ {2}([a-z-]+)\/ {2,}/gm)).toEqual(roomsOfSource());
  });

  it('give the two commands as the first lines of their blocks in the README', () => {
    const blocks = caught(read('README.md'), /```sh\n([^\n]+)/g);
    expect(blocks).toEqual(expect.arrayContaining(['npm ci && npm start', 'npm ci && npm test']));
  });
});
