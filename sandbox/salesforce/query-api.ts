/** REST queries: /query, /queryAll and their further pages. */
import { aggregateJson, isAggregate } from './aggregates.ts';
import { pageJson, type PageFaults } from './cursors.ts';
import type { Exchange } from '../exchange.ts';
import type { Org } from './org.ts';
import { parseQuery } from './soql-parser.ts';
import { bindQuery, countQuery, runQuery } from './soql-run.ts';
import { malformed } from './api-error.ts';

const JSON_TYPE = 'application/json;charset=UTF-8';

export async function answerQuery(
  exchange: Exchange,
  org: Org,
  version: string,
  includeDeleted: boolean,
): Promise<void> {
  const text = exchange.params.get('q');
  if (text === null) throw malformed('SOQL statement cannot be empty: the parameter q is missing');
  const query = parseQuery(text);
  org.store.settle();
  const bound = bindQuery(query, org.store.find(query.from.text), includeDeleted);
  const faults = pageFaults(exchange);
  const now = org.store.clock.now();
  if (query.selected[0]?.kind === 'count') {
    const count = faults.empty
      ? 0
      : Math.min(countQuery(bound, now), query.limit ?? Number.POSITIVE_INFINITY);
    await exchange.sendText(200, JSON_TYPE, `{"totalSize":${count},"done":true,"records":[]}`);
    return;
  }
  const entries = runQuery(
    isAggregate(query) ? { ...bound, query: { ...query, limit: null, offset: null, orderBy: [] } } : bound,
    now,
  );
  if (isAggregate(query)) {
    await exchange.sendText(200, JSON_TYPE, aggregateJson(bound, pageFaults(exchange).empty ? [] : entries));
    return;
  }
  const batch = /batchSize=(\d+)/.exec(exchange.header('sforce-query-options') ?? '')?.[1];
  const cursor = org.cursors.create(bound, entries, batch === undefined ? undefined : Number(batch), version);
  await exchange.sendText(200, JSON_TYPE, pageJson(cursor, 0, faults));
}

/** A locator is the cursor's id and the number of the first row; a page may be asked for again. */
export async function answerMore(exchange: Exchange, org: Org, locator: string): Promise<void> {
  const dash = locator.lastIndexOf('-');
  const cursor = org.cursors.find(locator.slice(0, dash));
  const from = Number(locator.slice(dash + 1));
  await exchange.sendText(200, JSON_TYPE, pageJson(cursor, from, pageFaults(exchange)));
}

function pageFaults(exchange: Exchange): PageFaults {
  const { fault } = exchange;
  return {
    empty: fault !== undefined && 'emptyOk' in fault,
    dropLast: fault !== undefined && 'lastRowDropped' in fault,
  };
}
