/** Makes docs/types.md from the types of sources and warehouses: `npm run docs:types`. A test holds them together. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { FieldType } from '../schemas/object-schema.ts';
import { sources } from '../sources/registry.ts';
import type { SourceType } from '../sources/source.ts';
import { warehouses, type WarehouseKind } from '../warehouses/registry.ts';

export const TYPES_PAGE = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'types.md');

type TableType = (type: FieldType) => string;

const KINDS: FieldType[] = [
  ...(['string', 'boolean', 'integer'] as const).map((kind) => ({ kind })),
  { kind: 'decimal', precision: 38, scale: 10 },
  ...(['double', 'date', 'time', 'timestamp', 'json'] as const).map((kind) => ({ kind })),
];

/** The dialect of each warehouse has the same file. */
async function tableTypes(): Promise<Map<WarehouseKind, TableType>> {
  const found = new Map<WarehouseKind, TableType>();
  const kinds = z.array(z.custom<WarehouseKind>()).parse(Object.keys(warehouses));
  for (const kind of kinds) {
    const module: unknown = await import(`../warehouses/${kind}/types.ts`);
    found.set(
      kind,
      z.object({ tableType: z.custom<TableType>((it) => typeof it === 'function') }).parse(module).tableType,
    );
  }
  return found;
}

export async function typesPage(): Promise<string> {
  const columns = await tableTypes();
  const names = [...columns.keys()];
  const cells = (type: FieldType | null) =>
    [...columns.values()].map((tableType) => (type === null ? '' : `\`${tableType(type)}\``)).join(' | ');
  const head = (...first: string[]) => [
    `| ${[...first, ...names].join(' | ')} |`,
    `|${'---|'.repeat(first.length + names.length)}`,
  ];
  return [
    '# Types',
    '',
    'Every type of every source, and the column that it becomes in each warehouse. A record of all of them goes through each warehouse',
    'and comes back equal in `test/contract/warehouse-laws-suite.ts`. This page is made by `npm run docs:types`.',
    '',
    ...head('Headwater'),
    ...KINDS.map((type) => `| ${wordOf(type)} | ${cells(type)} |`),
    '',
    'Null stays apart from the empty text wherever the source tells them apart; Salesforce and CSV do not. Moments have a time zone and',
    'microseconds, decimals up to 38 digits; what does not fit widens its column or is set aside with its reason, and is never rounded.',
    'Names of columns are lower case; two that collide, or are too long, get a suffix of their own.',
    '',
    'What of a value changes its look, and where a warehouse ends, stands in its page in `docs/warehouses/`.',
    '',
    ...Object.entries(sources).flatMap(([kind, { types }]) => [
      `## ${kind}`,
      '',
      ...head('type', 'Headwater'),
      ...types.map((one) => row(one, cells)),
      '',
    ]),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function row({ name, type, note = '' }: SourceType, cells: (type: FieldType | null) => string): string {
  const said = note === '' ? '' : type === null ? `left out: ${note}` : ` (${note})`;
  return `| \`${name}\` | ${type === null ? said : `${wordOf(type)}${said}`} | ${cells(type)} |`;
}

const wordOf = (type: FieldType): string =>
  type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind;

if (process.argv.includes('--write')) writeFileSync(TYPES_PAGE, await typesPage());
