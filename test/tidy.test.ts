/** Style as a test: what architecture and style ask for and a machine can check. A ratchet may only get shorter. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sources } from '../sources/registry.ts';
import { warehouses } from '../warehouses/registry.ts';
import { leftOut, readLock } from '../scripts/complete-lock.ts';
import { LAYER_NAMES, trespass } from './tidy/layers.ts';
import { functionLengths, importsOf, projectFiles, ROOT, withoutComments } from './tidy/project-files.ts';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const BUNDLE_BYTES_MAX = 2_250_000;

/** Longer than the rule allows, with the length each may not exceed. Only ever taken out or lowered. */
const LONG_FILES: Record<string, number> = {};
const LONG_FUNCTIONS: Record<string, number> = {};

/** In a comment or a page: `rules/errors.ts`, docs/errors.md. */
const NAMED =
  /(?<=[\s`(])((?:activities|bench|bin|buckets|cli|config|docs|mapping|rules|sandbox|schemas|scripts|servers|shaper|sources|stores|warehouses|workers|workflows)\/[\w./-]+\.(?:ts|js|md))(?=[\s`),:;.])/g;

const files = projectFiles();
const modules = files.filter(({ path }) => path.endsWith('.ts'));
const shipped = modules.filter(({ path }) => LAYER_NAMES.includes(path.split('/', 1)[0] ?? ''));
const isTest = (path: string) => path.startsWith('test/');

describe('layers', () => {
  test('each folder imports only what the table of ARCHITECTURE.md allows', () => {
    const found = shipped.flatMap((file) =>
      importsOf(file).flatMap(({ target, typeOnly }) => {
        const why = trespass(file.path, target, typeOnly);
        return why === undefined ? [] : [`${file.path}: ${why}`];
      }),
    );
    expect(found).toEqual([]);
  });

  test('ARCHITECTURE.md names each folder of code', () => {
    const { text = '' } = files.find(({ path }) => path === 'ARCHITECTURE.md') ?? {};
    const folders = new Set(shipped.map(({ path }) => path.split('/', 1)[0] ?? ''));
    expect([...folders].filter((folder) => !text.includes(`\`${folder}/`))).toEqual([]);
  });

  test('a file that a text or a comment names is there', () => {
    const names = files.flatMap(({ path, text }) =>
      [...text.matchAll(NAMED)].map(([, named = '']) => ({ path, named })),
    );
    const found = names.filter(({ named }) => !named.includes('<') && !existsSync(join(ROOT, named)));
    expect(found.map(({ path, named }) => `${path}: ${named}`)).toEqual([]);
  });

  test('a script that a text or a comment names is there', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const named = files.flatMap(({ text }) => [...text.matchAll(/\bnpm run (?:-s |--silent )?([\w:]+)/g)]);
    expect(named.map(([, name = '']) => name.replace(/:$/, '')).filter((name) => !(name in scripts))).toEqual(
      [],
    );
  });

  test.each([
    ['workflows/sync-object.ts', 'schemas/run.ts', false],
    ['workflows/sync-object.ts', 'node:fs', false],
    ['rules/time.ts', 'zod', false],
    ['rules/time.ts', 'schemas/run.ts', false],
    ['sandbox/salesforce/rest.ts', 'sources/http.ts', false],
    ['sources/salesforce/plan.ts', 'sources/hubspot/plan.ts', false],
    ['sources/salesforce/plan.ts', '@temporalio/activity', true],
    ['stores/stage/disk.ts', 'stores/ledger/ledger.ts', false],
    ['activities/load.ts', 'warehouses/duckdb/load.ts', false],
  ])('%s may not import %s', (from, target, typeOnly) => {
    expect(trespass(from, target, typeOnly)).toBeDefined();
  });

  test('an import is seen in each of its forms', () => {
    const text = [
      "import { a,\n  b } from './x.ts';",
      "import type { C } from '../y/z.ts';",
      "export * from 'p/deep';",
      "import '@s/q/deep';",
      "const d = await import('node:fs');",
      'export function from(from: string) {}',
    ].join('\n');
    expect(importsOf({ path: 'f/g.ts', text, lines: [] })).toEqual([
      { target: 'f/x.ts', typeOnly: false },
      { target: 'y/z.ts', typeOnly: true },
      { target: 'p', typeOnly: false },
      { target: '@s/q', typeOnly: false },
      { target: 'node:fs', typeOnly: false },
    ]);
  });
});

describe('connectors', () => {
  const folders = (parent: string) =>
    readdirSync(join(ROOT, parent), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .toSorted();

  /** Nothing can be extracted from these: their core is smaller, and their names are words of every day. */
  const pushed = Object.values(sources).flatMap(({ kind, capabilities }) =>
    'pushOnly' in capabilities && capabilities.pushOnly ? [kind] : [],
  );

  test('the registries name every folder, and nothing else', () => {
    expect(Object.keys(sources).toSorted()).toEqual(folders('sources'));
    expect(Object.keys(warehouses).toSorted()).toEqual(folders('warehouses'));
  });

  test.each([
    ['sources', ['index.ts', 'config.ts', 'client.ts', 'describe.ts', 'plan.ts', 'extract.ts', 'check.ts']],
    ['warehouses', ['index.ts', 'config.ts', 'client.ts', 'load.ts', 'check.ts']],
  ])('every folder in %s has the same core files', (parent, names) => {
    for (const folder of folders(parent).filter((name) => !pushed.includes(name))) {
      expect(readdirSync(join(ROOT, parent, folder))).toEqual(expect.arrayContaining(names));
    }
  });

  test('shared code asks for capabilities and names no connector', () => {
    const names = new RegExp(
      [...folders('sources'), ...folders('warehouses'), 'hubspot', 'snowflake', 'bigquery']
        .map((name) => (pushed.includes(name) ? `['"]${name}['"]` : name))
        // The ledger and the claims may be kept in one, too: only as a warehouse has it no place here.
        .map((name) => (name === 'postgres' ? 'warehouses?\\W.{0,20}postgres' : name))
        .join('|'),
      'i',
    );
    const shared = /^(?:activities|workflows|rules|stores|schemas|cli)\//;
    // The demo and the templates of `init` are about one connector.
    const demo = /^cli\/(?:start\.ts|start\/|commands\/(?:start|init)\.ts)/;
    // The help shows command lines, which name the demo's connection.
    const withoutExamples = (text: string) => text.replaceAll(/^\s+example: .*$/gm, '');
    const found = shipped
      .filter(({ path }) => shared.test(path) && !demo.test(path))
      .flatMap(({ path, text }) =>
        withoutExamples(withoutComments(text))
          .split('\n')
          .flatMap((line, index) => (names.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
      );
    expect(found).toEqual([]);
  });
});

describe('names and sizes', () => {
  test('files and folders have a noun of their own', () => {
    const banned = /^(?:utils?|common|helpers?|shared|manager|misc)$/;
    const found = files.filter(({ path }) =>
      path
        .replace(/\.[^/]*$/, '')
        .split('/')
        .some((part) => banned.test(part)),
    );
    expect(found.map(({ path }) => path)).toEqual([]);
  });

  test('modules are in kebab-case', () => {
    const found = modules.filter(({ path }) => !/^[a-z0-9]+(?:[-.][a-z0-9]+)*\.ts$/.test(basename(path)));
    expect(found.map(({ path }) => path)).toEqual([]);
  });

  test(`no module is longer than ${FILE_LINES_MAX} lines`, () => {
    const long = modules.filter(({ lines }) => lines.length > FILE_LINES_MAX);
    expectRatchet(Object.fromEntries(long.map(({ path, lines }) => [path, lines.length])), LONG_FILES);
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const long: Record<string, number> = {};
    for (const file of modules.filter(({ path }) => !isTest(path))) {
      for (const { lines } of functionLengths(file)) {
        if (lines > FUNCTION_LINES_MAX) long[file.path] = Math.max(lines, long[file.path] ?? 0);
      }
    }
    expectRatchet(long, LONG_FUNCTIONS);
  });

  test('the length of a function is counted from its header to its brace', () => {
    const lines = [
      'function a(',
      '  b: string,',
      '): void {',
      '  if (b) {',
      '  }',
      '}',
      'const c = () => {',
      '};',
    ];
    expect(functionLengths({ path: 'a.ts', text: '', lines }).map((found) => found.lines)).toEqual([4, 2]);
  });

  /** What is over the limit has to be in the list, and what is in the list still over the limit. */
  function expectRatchet(found: Record<string, number>, allowed: Record<string, number>): void {
    expect(Object.entries(found).filter(([path, lines]) => lines > (allowed[path] ?? 0))).toEqual([]);
    expect(Object.keys(allowed).filter((path) => !(path in found))).toEqual([]);
  }
});

describe('text', () => {
  function hits(pattern: RegExp, where: typeof files, clean = (text: string) => text): string[] {
    return where.flatMap(({ path, text }) =>
      clean(text)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
  }

  test('no default exports but in configuration files', () => {
    // `init` and the test of the packed form hold the text of a configuration.
    const holders = ['cli/commands/init.ts', 'test/pack/packed-install.test.ts'];
    const found = modules.filter(({ path }) => !path.endsWith('.config.ts') && !holders.includes(path));
    expect(hits(/^export default\b/, found)).toEqual([]);
  });

  test('only programs that people read write to the console', () => {
    const quiet = modules.filter(
      ({ path }) => !/^(?:cli|bench|test|scripts)\/|^sandbox\/main\.ts$/.test(path),
    );
    expect(hits(/\bconsole\./, quiet, withoutComments)).toEqual([]);
  });

  test('nothing is left to be done in a comment', () => {
    // Written so that this line is no hit itself.
    const marks = /\bT[O]DO\b|\bF[I]XME\b|\bX[X]X:/;
    expect(hits(marks, files)).toEqual([]);
  });

  test("no path of anybody's machine", () => {
    const paths = /(?<![\w.:/])\/(?:[w]ork|[r]oot|[U]sers)\//;
    expect(hits(paths, files)).toEqual([]);
  });

  test('a step or a workflow says in its first line what it is', () => {
    const steps = modules.filter(({ path }) => /^(?:activities|workflows)\//.test(path));
    expect(steps.filter(({ lines }) => !/^\/[/*]/.test(lines[0] ?? '')).map(({ path }) => path)).toEqual([]);
  });

  test('each invariant is cited where it is enforced', () => {
    const cited = new Set(shipped.flatMap(({ text }) => text.match(/\bI[1-7](?=:|\))/g) ?? []));
    const all = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7'];
    expect(all.filter((invariant) => !cited.has(invariant))).toEqual([]);
  });
});

describe('tests', () => {
  test('unit tests mirror the folders of the code', () => {
    const known = new Set(
      files.map(({ path }) => dirname(path)).flatMap((path) => [path, path.replace(/^cli\//, '')]),
    );
    known.add('docs');
    const found = files
      .filter(({ path }) => path.startsWith('test/unit/'))
      .map(({ path }) => dirname(path).slice('test/unit/'.length))
      .filter((folder) => !known.has(folder));
    expect([...new Set(found)]).toEqual([]);
  });

  test('none is left out or run alone', () => {
    const found = files.filter(({ path }) => path.endsWith('.test.ts') && path !== 'test/tidy.test.ts');
    const alone =
      /(?<!\? )\b(?:test|it|describe)\.(?:only|skip|todo)\b|\b(?:xit|xtest|fit|xdescribe|fdescribe)\(/;
    expect(found.filter(({ text }) => alone.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('what is installed and loaded', () => {
  test('versions are exact, so that two machines have the same', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const specs = Object.entries({ ...dependencies, ...devDependencies });
    expect(specs.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(String(version)))).toEqual([]);
  });

  test('the lock file names the optional binaries of every platform (`npm run lock` adds them)', () => {
    expect(leftOut(readLock())).toEqual([]);
  });

  test('the workflow bundle is small and has no zod in it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'headwater-bundle-'));
    try {
      const program = `import { workflowBundle } from '${join(ROOT, 'workers', 'workflow-bundle.ts')}'; await workflowBundle(${JSON.stringify(folder)});`;
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT, stdio: 'pipe' });
      const [name = ''] = readdirSync(folder);
      const code = readFileSync(join(folder, name), 'utf8');
      expect(code.includes('syncConnection')).toBe(true);
      // Not toMatch, which would print two megabytes.
      expect(/\$ZodType|ZodError/.test(code)).toBe(false);
      expect(Buffer.byteLength(code)).toBeLessThan(BUNDLE_BYTES_MAX);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
