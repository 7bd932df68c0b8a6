import { z } from 'zod';
import { apiChangeSchema, changeRequestSchema } from '../../schemas/api/change.ts';
import { eventsQuerySchema } from '../../schemas/api/events.ts';
import * as answers from '../../schemas/api/profile.ts';
import * as requests from '../../schemas/api/request.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import { claimValueSchema } from '../../schemas/observation.ts';
import { notificationSchema } from '../../schemas/notification.ts';

type Json = Record<string, unknown>;

const CHANGE_HEADERS = {
  'if-match': 'ETag or version that was seen: 412 where the profile is another one now.',
  'idempotency-key': 'Repeating the request with it changes nothing and gives the same answer.',
};
const EVENT_HEADERS = {
  'last-event-id': 'Id of the last event that was received: the stream goes on after it.',
};

const REFERENCE = { $ref: '#/components/schemas/Problem' };
const PROBLEMS: Record<number, string> = {
  308: 'The profile was merged; Location says into which.',
  400: 'The request is not what is expected; `mistakes` says where.',
  401: 'No API key, or an unknown one.',
  403: 'The key lacks the scope, the entity or the field.',
  404: 'There is no such profile.',
  410: 'The profile has been erased.',
  412: 'The profile, or a field of it, is no longer as it was seen.',
  409: 'No system of record takes this change; `mistakes` says why.',
  422: 'A value does not fit its field; `mistakes` says which.',
  429: 'The key asks more often than it may; Retry-After says when to come back.',
  503: 'It cannot be answered now, or not freshly enough; Retry-After says when to come back.',
};
const ALWAYS = [400, 401, 403, 429, 503];
const OF_ONE = [308, 404, 410];

const SCHEMAS: Record<string, z.ZodType> = {
  Profile: answers.apiProfileSchema,
  Lookup: answers.apiLookupSchema,
  Batch: answers.apiBatchSchema,
  Related: answers.apiRelatedSchema,
  Explanation: answers.apiExplainSchema,
  History: answers.apiHistorySchema,
  Change: apiChangeSchema,
  Notification: notificationSchema,
  Health: answers.apiHealthSchema,
  Problem: answers.apiProblemSchema,
};

/** OpenAPI 3.1, whose schemas are JSON Schema 2020-12: generated from what the routes check and answer. */
export function openApi(entities: ReadonlyMap<string, Entity>): Json {
  const schemas = Object.fromEntries(Object.entries(SCHEMAS).map(([name, schema]) => [name, part(schema)]));
  Object.assign(schemas, definitions(shape(z.strictObject({ value: claimValueSchema }))));
  for (const entity of entities.values()) schemas[`entity_${entity.name}`] = valuesOf(entity);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Headwater profiles',
      version: '1',
      description: 'One golden profile per customer: what holds, where it is from, and how fresh it is.',
    },
    servers: [{ url: '/', description: 'Where this document is from.' }],
    security: [{ key: [] }],
    paths: paths(),
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key: `npx headwater keys new`.' },
      },
      schemas,
    },
  };
}

function paths(): Json {
  const id = parameter('id', 'path', { type: 'string' }, 'Public id of a profile.');
  return {
    '/v1/profiles/{id}': {
      get: operation('A profile', 'Profile', OF_ONE, {
        parameters: [
          id,
          ...query(requests.profileQuerySchema),
          ...headers({ 'if-none-match': 'ETag of an earlier answer: 304 if nothing changed.' }),
        ],
        also: { 304: { description: 'As it was.' } },
      }),
      patch: operation('Change fields of a profile', 'Change', [...OF_ONE, 409, 412, 422], {
        parameters: [id, ...headers(CHANGE_HEADERS)],
        body: changeRequestSchema,
        also: { 202: content('Its systems have not answered yet: read the change again.', 'Change') },
      }),
    },
    '/v1/changes/{id}': {
      get: operation('A change and what came of it', 'Change', [404], {
        parameters: [parameter('id', 'path', { type: 'string' }, 'Id of the change.')],
      }),
    },
    '/v1/events': {
      get: operation(
        'Changes of profiles as server-sent events, for as long as you stay',
        'Notification',
        [],
        {
          parameters: [...query(eventsQuerySchema), ...headers(EVENT_HEADERS)],
          type: 'text/event-stream',
        },
      ),
    },
    '/v1/profiles/lookup': {
      post: operation('Profiles by an identifier', 'Lookup', [], { body: requests.lookupSchema }),
    },
    '/v1/profiles/batch': {
      post: operation('Many profiles by their ids', 'Batch', [], { body: requests.batchSchema }),
    },
    '/v1/profiles/{id}/related': {
      get: operation('Orders, activities, deals, tickets … of a profile', 'Related', OF_ONE, {
        parameters: [id, ...query(requests.relatedQuerySchema)],
      }),
    },
    '/v1/profiles/{id}/explain/{field}': {
      get: operation('Why a field has its value', 'Explanation', [404, 410], {
        parameters: [id, parameter('field', 'path', { type: 'string' }, 'Name of the field.')],
      }),
    },
    '/v1/profiles/{id}/history': {
      get: operation('What has happened to a profile, oldest first', 'History', [404, 410], {
        parameters: [id, ...query(requests.historyQuerySchema)],
      }),
    },
    '/v1/health': {
      get: { ...operation('Whether profiles can be read', 'Health', []), security: [] },
    },
  };
}

function operation(
  summary: string,
  schema: string,
  problems: readonly number[],
  {
    parameters = [],
    body,
    also = {},
    type = 'application/json',
  }: { parameters?: Json[]; body?: z.ZodType; also?: Json; type?: string } = {},
): Json {
  const told = [...ALWAYS, ...problems].toSorted((left, right) => left - right);
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: true, content: { 'application/json': { schema: part(body, 'input') } } },
    }),
    responses: {
      200: content('What was asked for.', schema, type),
      ...also,
      ...Object.fromEntries(
        told.map((status) => [
          status,
          {
            description: PROBLEMS[status] ?? '',
            content: { 'application/problem+json': { schema: REFERENCE } },
          },
        ]),
      ),
    },
  };
}

function content(description: string, schema: string, type = 'application/json'): Json {
  return { description, content: { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } } };
}

/** By their names, each with what it is for. */
function headers(described: Readonly<Record<string, string>>): Json[] {
  return Object.entries(described).map(([name, says]) => parameter(name, 'header', { type: 'string' }, says));
}

function parameter(name: string, where: string, schema: unknown, description: string): Json {
  return { name, in: where, schema, description, required: where === 'path' };
}

/** Each key of a strict object as a parameter. */
function query(schema: z.ZodObject): Json[] {
  const parts = z.record(z.string(), z.looseObject({ description: z.string().default('') }));
  const properties = parts.parse(shape(schema, 'input')['properties']);
  return Object.entries(properties).map(([name, { description, ...rest }]) =>
    parameter(name, 'query', rest, description),
  );
}

const VALUE_DEFINITION = '__schema0';

/** A schema within the document: what refers to itself, a value, is a schema of its own there, or no reference to it would lead anywhere. */
function part(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $defs: _, ...rest } = shape(schema, io);
  return JSON.parse(moved(rest));
}

const moved = (schema: unknown): string =>
  JSON.stringify(schema).replaceAll(`#/$defs/${VALUE_DEFINITION}`, '#/components/schemas/Value');

function definitions({ $defs }: Json): Json {
  const { [VALUE_DEFINITION]: value, ...others } = z.record(z.string(), z.unknown()).parse($defs);
  if (value === undefined || Object.keys(others).length > 0)
    throw new Error('values are described otherwise than expected');
  return { Value: JSON.parse(moved(value)) };
}

/** JSON Schema 2020-12 without its `$schema`: for documents that say the dialect themselves. */
export function shape(schema: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

/** What `value` of each field may be: for whoever generates types. */
function valuesOf({ description, fields }: Entity): Json {
  return {
    description: `${description} Values of \`fields\`.`,
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, { value, description: says, classification, live }]) => [
        name,
        {
          ...part(value.nullable()),
          description: says,
          'x-class': classification,
          ...(live === true && { 'x-live': true }),
        },
      ]),
    ),
  };
}
