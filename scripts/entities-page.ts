/** Makes docs/entities.md from the shared schemas and the ready mappings: `npm run docs:entities`. A test holds them together. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mapping } from '../mapping/mapping.ts';
import { goldenTables } from '../rules/golden-tables.ts';
import type { Entity } from '../schemas/entities/entity.ts';
import { entities } from '../schemas/entities/index.ts';
import { sources } from '../sources/registry.ts';

export const ENTITIES_PAGE = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'entities.md');

export function entitiesPage(): string {
  return [
    '# Shared schemas',
    '',
    'What Headwater knows about customers, whatever system it comes from. Each entity is one definition in `schemas/entities/`; the',
    "mappings' target types, the columns of the golden tables, the JSON Schema of a profile and this page follow from it.",
    '',
    'Classification: *identifier* finds the subject, *personal* is about a person, *sensitive* never leaves without a right to it,',
    '*business* is neither. A value of kind *inferred* was computed; rules may prefer explicit ones.',
    '',
    'This page is made by `npm run docs:entities`.',
    '',
    ...[...entities.values()].flatMap(entitySection),
  ].join('\n');
}

function entitySection(entity: Entity): string[] {
  const columns = goldenTables(entity).newest.columns.slice(1);
  const rows = Object.entries(entity.fields).map(([name, field], at) => {
    const notes = [
      field.kind === 'inferred' ? 'inferred' : '',
      field.live === true ? 'live' : '',
      entity.identifiers[name] === undefined ? '' : `finds by ${entity.identifiers[name]}`,
      entity.references?.[name] === undefined ? '' : `→ ${entity.references[name]}`,
    ].filter(Boolean);
    const type = columns[at]?.type.kind ?? '';
    return `| \`${name}\` | \`${columns[at]?.name ?? ''}\` ${type} | ${field.classification} | ${notes.join(', ')} | ${field.description} |`;
  });
  const fed = feeds(entity);
  return [
    `## ${entity.name}`,
    '',
    `${entity.description}${entity.shape === 'fact' ? ' Facts are never resolved.' : ''}`,
    '',
    ...(fed.length === 0 ? [] : [`Ready mappings: ${fed.map((name) => `\`${name}\``).join(', ')}.`, '']),
    '| field | column | classification | | |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function feeds(entity: Entity): string[] {
  const ready = Object.entries(sources).flatMap(([kind, source]) => {
    const mappings: Readonly<Record<string, readonly Mapping[]>> =
      'mappings' in source ? (source.mappings ?? {}) : {};
    return Object.entries(mappings)
      .filter(([, list]) => list.some((mapping) => mapping.entity.name === entity.name))
      .map(([object]) => `${kind}.${object}`);
  });
  return ready.toSorted();
}

if (import.meta.main && process.argv.includes('--write')) writeFileSync(ENTITIES_PAGE, entitiesPage());
