import { z } from 'zod';
import type { Cursor } from '../../schemas/page.ts';
import type { Slice } from '../../schemas/window.ts';
import type { ExtractContext, ExtractRequest, RawPage } from '../source.ts';
import { bulkCursor, bulkRows, BulkRefused, endJob } from './bulk.ts';
import type { SalesforceClient } from './client.ts';
import type { SalesforceConfig } from './config.ts';
import { tombstonesPage } from './deletions.ts';
import { firstQuery, fitsInPath, REST_START, restCursor, restRows } from './query.ts';
import { sliceRequestSchema } from './plan.ts';
import { wideRows } from './wide.ts';

/** The last cursor of a slice with tombstones: everything is committed, only the job may still have to go. */
const endCursorSchema = z.strictObject({ api: z.literal('deletions'), jobId: z.string().nullable() });

interface Extractor {
  client: SalesforceClient;
  thresholds: SalesforceConfig['thresholds'];
}

/** Rows by REST or Bulk, then tombstones where the slice asks for them; a job is deleted once its rows are committed. */
export async function* extractSlice(
  extractor: Extractor,
  request: ExtractRequest,
  slice: Slice,
  context: ExtractContext,
): AsyncGenerator<RawPage> {
  const { client } = extractor;
  const { deletions, ...range } = sliceRequestSchema.parse(slice.request);
  const ended = endCursorSchema.safeParse(context.after).data;
  let jobId = ended === undefined ? jobOf(context.after) : ended.jobId;
  if (ended === undefined) {
    for await (const page of rows(extractor, { ...request, range }, slice.api, context)) {
      yield page;
      // The caller has committed this cursor, or it would not have asked for more.
      jobId = jobOf(page.cursor()) ?? jobId;
    }
    if (deletions) {
      yield await tombstonesPage(
        client,
        request.schema.object,
        request,
        { api: 'deletions', jobId },
        context.signal,
      );
    }
  }
  if (jobId !== null) await endJobQuietly(client, jobId);
}

export function jobOf(cursor: Cursor | undefined): string | null {
  return bulkCursor(cursor)?.jobId ?? endCursorSchema.safeParse(cursor).data?.jobId ?? null;
}

async function* rows(
  { client, thresholds }: Extractor,
  request: ExtractRequest & { range: z.infer<typeof rangeSchema> },
  api: string,
  context: ExtractContext,
): AsyncGenerator<RawPage> {
  const { schema, range } = request;
  let after = restCursor(context.after);
  if (api === 'bulk' && after === undefined) {
    try {
      const pageRowsMax = thresholds.bulkPageRowsMax;
      yield* bulkRows(client, schema, { range, pageRowsMax, after: bulkCursor(context.after) }, context);
      return;
    } catch (error) {
      if (!(error instanceof BulkRefused)) throw error;
      client.context.log('bulk refused, reading by REST', { object: schema.object, reason: error.message });
    }
    after = REST_START;
    const cursor = after;
    yield { format: 'json', body: undefined, rowsSent: () => 0, cursor: () => cursor };
  }
  after ??= REST_START;
  const pageRows = thresholds.restPageRows;
  const select = schema.fields.map((field) => field.name);
  const narrow = fitsInPath(
    client,
    firstQuery(schema, select, range, { stamp: request.until, id: 'x'.repeat(18) }),
  );
  yield* (narrow ? restRows : wideRows)(client, schema, { range, pageRows, after }, context);
}

const rangeSchema = sliceRequestSchema.omit({ deletions: true });

/** All rows are safe by now: a job that stays costs storage for seven days and nothing else. */
async function endJobQuietly(client: SalesforceClient, jobId: string): Promise<void> {
  try {
    await endJob(client, jobId, false);
  } catch (error) {
    client.context.log('bulk job not deleted', {
      jobId,
      reason: error instanceof Error ? error.name : 'unknown',
    });
  }
}
