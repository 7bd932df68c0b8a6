import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface ProjectFile {
  /** From the project's folder, with slashes. */
  path: string;
  text: string;
  lines: string[];
}

/** Every file that is or is going to be in the repository, without what is generated. */
export function projectFiles(): ProjectFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\n'))]
    .filter((path) => path !== '' && path !== 'package-lock.json' && existsSync(join(ROOT, path)))
    .filter((path) => /\.(?:ts|js|json|md|ya?ml|py|sh)$|^\.ci\/|^LICENSE$/.test(path))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, lines: text.replace(/\n$/, '').split('\n') };
    });
}

export interface Import {
  /** A path from the project's folder, or a package's name, or `node:…`. */
  target: string;
  /** `import type`: gone at run time. An inline `{ type X }` is not, since type stripping leaves the import. */
  typeOnly: boolean;
}

const CLAUSE = String.raw`(?:[\w$]+\s*,\s*)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\}|[\w$]+)`;
const STATEMENT = new RegExp(
  String.raw`^(?:import|export)\s+(type\s+)?${CLAUSE}\s+from\s+'([^']+)'|^import\s+'([^']+)'|(?<![\w.])import\('([^']+)'\)`,
  'gm',
);

export function importsOf(file: ProjectFile): Import[] {
  return [...file.text.matchAll(STATEMENT)].map(([, type, from, bare, dynamic]) => ({
    target: resolved(file.path, from ?? bare ?? dynamic ?? ''),
    typeOnly: type !== undefined,
  }));
}

function resolved(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return join(from, '..', specifier);
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The text with its comments blanked, line numbers kept. A `//` inside a string is no comment when a colon is before it. */
export function withoutComments(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ' '))
    .replaceAll(/(?<!:)\/\/.*$/gm, '');
}

export interface FunctionLength {
  name: string;
  lines: number;
}

const HEADER =
  /=>\s*\{$|\bfunction\b.*\{$|^\s*\)(?:: .+)? \{$|^\s+(?:(?:async|static|private|override|get|set)\s+)*\*?[\w#$]+\(.*\).*\{$/;
const STATEMENT_HEADER = /^\s*(?:\} )?(?:if|else|for|while|switch|catch|do|try)\b/;

/**
 * The formatter's indentation tells where a function ends: at the first line that is as far in and begins with a brace.
 * A signature over several lines is measured from its closing parenthesis.
 */
export function functionLengths(file: ProjectFile): FunctionLength[] {
  const found: FunctionLength[] = [];
  for (const [index, line] of file.lines.entries()) {
    if (!HEADER.test(line) || STATEMENT_HEADER.test(line)) continue;
    const indent = /^\s*/.exec(line)?.[0] ?? '';
    const rest = file.lines.slice(index + 1).findIndex((later) => later.startsWith(`${indent}}`));
    if (rest >= 0) found.push({ name: `${file.path}:${index + 1}`, lines: rest + 2 });
  }
  return found;
}
