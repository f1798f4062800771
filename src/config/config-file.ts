import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isScalar, parseDocument, visit, type YAMLError } from 'yaml';
import { codeOf, type Environment } from './environment.js';

/** What a config file holds, or what is wrong with it as text. Absent files are for the caller to judge: `missing`. */
export type ConfigFile =
  { readonly content: unknown; readonly problems: readonly string[] } | { readonly missing: true };

/**
 * Reads a YAML file and puts the environment's variables in: `${NAME}` and `${NAME:-default}` anywhere inside a string.
 * `label` is what the problems call the file.
 */
export function readConfigFile(path: string, label: string, environment: Environment): ConfigFile {
  try {
    return parseConfigText(readFileSync(path, 'utf8'), label, environment);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return { missing: true };
    return { content: null, problems: [`${label}: cannot read ${path} (${code})`] };
  }
}

/** {@link readConfigFile}, from text. */
export function parseConfigText(text: string, label: string, environment: Environment): ConfigFile {
  const references: Reference[] = [];
  // A reference has braces, which mean something in YAML; a word in its place does not. The value comes in only after
  // parsing, so whatever it holds, it can't change the file's structure.
  const mark = `baton${randomBytes(8).toString('hex')}x`;
  const words = text.replace(
    REFERENCE,
    (written, name: string, fallback: string | undefined, offset: number) => {
      references.push({ written, name, fallback: fallback ?? null, line: lineAt(text, offset) });
      return `${mark}${references.length - 1}_`;
    },
  );

  const document = parseDocument(words, { prettyErrors: true, uniqueKeys: true });
  const [first] = [...document.errors, ...document.warnings];
  if (first !== undefined)
    return { content: null, problems: [`${label}${placeOf(first)}: ${sentenceOf(first)}`] };

  const problems: string[] = [];
  const marks = new RegExp(`${mark}(\\d+)_`, 'g');
  const fill = (value: string): string =>
    value.replace(marks, (_, index: string) =>
      valueOf(references[Number(index)], label, environment, problems),
    );
  visit(document, {
    Scalar(_, node) {
      if (isScalar(node) && typeof node.value === 'string') node.value = fill(node.value);
    },
  });
  try {
    return { content: document.toJS({ maxAliasCount: 100 }), problems };
  } catch {
    return {
      content: null,
      problems: [...problems, `${label}: an alias (*name) has no anchor (&name) before it`],
    };
  }
}

/** One `${NAME:-default}` of the file. */
interface Reference {
  readonly written: string;
  readonly name: string;
  readonly fallback: string | null;
  readonly line: number;
}

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}/g;

function valueOf(
  reference: Reference | undefined,
  label: string,
  environment: Environment,
  problems: string[],
): string {
  if (reference === undefined) return '';
  const { name, fallback, line } = reference;
  const value = environment.text(name) ?? fallback;
  if (value !== null) return value;
  problems.push(
    `${label}:${line}: the variable ${name} is not set; set it, or give a default: \${${name}:-default}`,
  );
  return '';
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

function placeOf(error: YAMLError): string {
  const [start] = error.linePos ?? [];
  return start === undefined ? '' : `:${start.line}`;
}

/** The parser's own sentence where it is free of the file's text, which may hold secrets. */
function sentenceOf(error: YAMLError): string {
  switch (error.code) {
    case 'UNEXPECTED_TOKEN':
      return 'not valid YAML here: check the indentation and the quotes';
    case 'BAD_DQ_ESCAPE':
      return 'a bad escape in a double-quoted text; use single quotes to write a backslash as it is';
    case 'TAG_RESOLVE_FAILED':
      return 'a text that begins with ! must be quoted';
    case 'MULTIPLE_DOCS':
      return 'the file must hold one document, without ---';
    default:
      return (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
  }
}
