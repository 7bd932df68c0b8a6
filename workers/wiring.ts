import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { copyLanes, type Copy } from '../activities/copies.ts';
import { createLanes, LANE_LIMITS, type Lanes } from '../activities/lanes.ts';
import type {
  ConnectionSettings,
  Dependencies,
  FastLane,
  Log,
  Profiles,
} from '../activities/dependencies.ts';
import { sinkOf, sourceConfig, warehouseConfig } from '../config/connection-config.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { customRules } from '../config/conflicts.ts';
import { inboxPlace } from '../config/inbox.ts';
import { ledgerPlace } from '../config/ledger.ts';
import { stagePlace } from '../config/stage.ts';
import { entitiesOf, mappingsOf, rulesOf } from '../config/profiles.ts';
import type { Config, ConnectionConfig, WarehousePart } from '../config/schema.ts';
import { allWarehouses, sinkName } from '../config/warehouses.ts';
import { phoneNormaliser } from '../mapping/normalise.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { Owner } from '../schemas/window.ts';
import { createShaper } from '../shaper/duckdb-shaper.ts';
import { sourceDefinition } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import { openClaims } from '../stores/claims/open.ts';
import { openInbox } from '../stores/inbox/open.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { openLedgerAt } from '../stores/ledger/open.ts';
import { openStageAt } from '../stores/stage/open.ts';
import { rawTable, warehouseDefinition } from '../warehouses/registry.ts';
import type { Warehouse, WarehouseContext, WarehouseDefinition } from '../warehouses/warehouse.ts';
import { subscriptionsOf } from './subscriptions.ts';

/** Of the worker's DuckDB memory the shaper gets this share; the warehouse, which joins and merges, the rest. */
const SHAPER_MEMORY_SHARE = 0.5;
/** For single records, beside the shares of `worker.memoryMb`. */
const FAST_SHAPER_MB = 128;
/** Longest sleep between two looks at an empty token bucket, ms. */
const TOKEN_WAIT_MS_MAX = 5_000;

export interface Wiring {
  dependencies: Dependencies;
  close(): Promise<void>;
}

/** Opens everything that the steps need. What is opened is closed again if a later part fails. */
export async function wire(
  loaded: LoadedConfig,
  log: Log,
  client: () => Client,
  stopping: AbortSignal,
): Promise<Wiring> {
  const { config, home } = loaded;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const tempDirectory = join(home, 'spill');
  mkdirSync(tempDirectory, { recursive: true, mode: 0o700 });
  const opened: { close(): Promise<void> }[] = [];
  try {
    const ledger = await openLedgerAt(ledgerPlace(config));
    opened.push(ledger);
    const stage = await openStageAt(stagePlace(config));
    await claimStage(ledger, await stage.id());
    const shaperMemoryMb = Math.round(config.worker.memoryMb * SHAPER_MEMORY_SHARE);
    const { threads } = config.worker;
    const shaper = await createShaper({ tempDirectory, memoryMbMax: shaperMemoryMb, threads });
    opened.push(shaper);
    const context: WarehouseContext = {
      now: Date.now,
      log: (message, fields) => log('info', message, fields),
      tempDirectory,
      memoryMbMax: warehouseMemoryMb(config, config.worker.memoryMb - shaperMemoryMb),
      threads,
    };
    const kind = warehouseKind(config.warehouse);
    const warehouse = await kind.connect(warehouseConfig(kind, config.warehouse), context);
    opened.push(warehouse);
    const lanes = createLanes(LANE_LIMITS, { embedded: kind.embedded });
    const copies = (config.copies ?? []).map((part) => copyOf(part, context, lanes, opened));
    const profiles = await openProfiles(config);
    if (profiles !== undefined) opened.push(profiles.claims);
    const fast = takesPushed(config)
      ? await openFastLane(loaded, tempDirectory, opened, stopping)
      : undefined;
    const connections = new Map(
      Object.values(config.connections).map((connection) => [
        connection.name,
        settingsOf(connection, { ledger, log, landMsMin: landMsMin(config) }),
      ]),
    );
    return {
      dependencies: {
        connections,
        ledger,
        stage,
        shaper,
        warehouse,
        rawTable: (connection, table) => rawTable(config.warehouse, connection, table),
        ...(profiles && { profiles }),
        ...(fast && { fast }),
        notify: { subscriptions: subscriptionsOf(config), stopping },
        sink: sinkOf(config),
        ...(copies.length === 0 ? {} : { copies }),
        lanes,
        now: Date.now,
        log,
        closedOwners: (owners) => closedOwners(client(), owners),
        freeBytesMin: config.stage.freeBytesMin,
        retention: {
          keepMs: config.stage.keepMs,
          bytesMax: config.stage.bytesMax,
          factsMs: config.retention,
        },
        objectsInParallel: config.worker.objectsInParallel,
      },
      close: () => closeAll(opened),
    };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

function warehouseKind({ kind, name }: WarehousePart): WarehouseDefinition {
  const definition = warehouseDefinition(kind);
  if (definition !== undefined) return definition;
  const at = name === undefined ? 'warehouse' : `warehouses.${name}`;
  throw new HeadwaterError('CONFIG_INVALID', `${at}.kind: ${kind} is unknown`);
}

/** Those inside this process share what the shaper leaves. */
function warehouseMemoryMb(config: Config, memoryMb: number): number {
  const embedded = allWarehouses(config).filter((part) => warehouseKind(part).embedded).length;
  return Math.round(memoryMb / Math.max(1, embedded));
}

/** One that cannot be reached is tried anew by the next step that wants it. */
function copyOf(
  part: WarehousePart,
  context: WarehouseContext,
  shared: Lanes,
  opened: { close(): Promise<void> }[],
): Copy {
  const definition = warehouseKind(part);
  let connecting: Promise<Warehouse> | undefined;
  const connect = async () => {
    const warehouse = await definition.connect(warehouseConfig(definition, part), context);
    opened.push(warehouse);
    return warehouse;
  };
  return {
    sink: sinkName(part),
    lanes: copyLanes(shared, createLanes(), definition.embedded),
    open: () => {
      connecting ??= connect().catch((error: unknown) => {
        connecting = undefined;
        throw error;
      });
      return connecting;
    },
  };
}

/** Connections whose systems push changes. */
export function pushing(config: Config): string[] {
  return Object.values(config.connections).flatMap(({ name, webhooks }) =>
    webhooks === undefined ? [] : [name],
  );
}

function takesPushed(config: Config): boolean {
  return config.serve !== undefined || pushing(config).length > 0;
}

async function openFastLane(
  loaded: LoadedConfig,
  tempDirectory: string,
  opened: { close(): Promise<void> }[],
  stopping: AbortSignal,
): Promise<FastLane> {
  const { rememberMs, ...place } = inboxPlace(loaded);
  const inbox = await openInbox(place);
  opened.push(inbox);
  const shaper = await createShaper({ tempDirectory, memoryMbMax: FAST_SHAPER_MB, threads: 1 });
  opened.push(shaper);
  return { inbox, shaper, rememberMs, stopping };
}

async function closeAll(opened: { close(): Promise<void> }[]): Promise<void> {
  for (const part of opened.reverse()) await part.close();
}

/**
 * A ledger belongs to one Temporal cluster and namespace: with another one, windows of runs that still go on there would look
 * abandoned. LEDGER_FOREIGN unless `adopt`.
 */
export async function claimCluster(ledger: Ledger, cluster: string, adopt: boolean): Promise<void> {
  const known = await ledger.meta('temporal');
  if (known === cluster) return;
  if (known === null || adopt) await ledger.setMeta('temporal', cluster);
  else
    throw new HeadwaterError('LEDGER_FOREIGN', `the ledger belongs to Temporal ${known}, this is ${cluster}`);
}

/** The stage root carries a random id that the ledger knows: a worker with another machine's folder must refuse. */
/** What reconcile and publish work with; nothing where the configuration asks for no profiles. */
async function openProfiles(config: Config): Promise<Profiles | undefined> {
  const { profiles, conflicts } = config;
  if (profiles === undefined) return undefined;
  const rules = rulesOf(profiles, conflicts);
  return {
    claims: await openClaims({ ...profiles, place: ledgerPlace(config), rules, custom: customRules() }),
    rules,
    entities: entitiesOf(profiles),
    phone: phoneNormaliser(profiles.region),
    retentionMs: new Map(Object.entries(profiles.retention)),
    mappings: (connection, object) => {
      const kind = config.connections[connection]?.kind;
      const ready = kind === undefined ? undefined : sourceDefinition(kind)?.mappings;
      return mappingsOf(profiles, ready ?? {}, connection, object);
    },
  };
}

async function claimStage(ledger: Ledger, id: string): Promise<void> {
  const known = await ledger.meta('stage');
  if (known === null) await ledger.setMeta('stage', id);
  else if (known !== id)
    throw new HeadwaterError('STAGE_FOREIGN', `the ledger knows the stage ${known}, this one is ${id}`);
}

/** Pushed changes reach every warehouse together: the one that bears the fewest loads decides. */
const landMsMin = (config: Config): number =>
  Math.max(0, ...allWarehouses(config).map((part) => warehouseKind(part).loads?.everyMsMin ?? 0));

function settingsOf(
  connection: ConnectionConfig,
  { ledger, log, landMsMin: landMs }: { ledger: Ledger; log: Log; landMsMin: number },
): ConnectionSettings {
  const definition = sourceDefinition(connection.kind);
  if (definition === undefined) {
    throw new HeadwaterError(
      'CONFIG_INVALID',
      `connections.${connection.name}.kind: ${connection.kind} is unknown`,
    );
  }
  const bucket = {
    perSecond: connection.limits.perSecond,
    burst: connection.limits.burst,
    quotaShareMax: connection.limits.quotaShareMax,
  };
  return {
    name: connection.name,
    capabilities: definition.capabilities,
    objects: connection.objects,
    exclude: connection.exclude,
    everyMs: connection.schedule.everyMs,
    lookbackMs: connection.lookbackMs,
    policy: connection.policy,
    badShareMax: connection.badRows.shareMax,
    badRowsMax: connection.badRows.rowsMax,
    bucket,
    refresh: (object) => {
      const { formulas, objects, added, quotaShareMax } = connection.refresh;
      const own = objects[object];
      const asked = own === undefined ? formulas : own;
      const formulasMs = definition.capabilities.silentFormulas === true ? asked : null;
      return { formulasMs, added, quotaShareMax };
    },
    audit: connection.audit,
    resyncMs: (object) => {
      const { every, objects } = connection.resync;
      const own = objects[object];
      return own === undefined ? every : own;
    },
    ...(connection.webhooks && {
      webhooks: {
        landEveryMs: Math.max(connection.webhooks.landEvery, landMs),
        quietAfterMs: connection.webhooks.quietAfter,
        pollEveryMs: connection.webhooks.pollEvery,
      },
    }),
    choiceOf: (object) => JSON.stringify(connection.fields[object] ?? {}),
    open: (callClass): Promise<Source> =>
      // Async on purpose: a missing secret is the error of the step that needs it, not of the worker.
      Promise.resolve().then(() =>
        definition.connect(sourceConfig(definition, connection), {
          connection: connection.name,
          now: Date.now,
          acquire: (calls, signal) => acquire(ledger, connection.name, callClass, bucket, calls, signal),
          reportQuota: (quota) => {
            // A ledger that is away for a moment misses one report; the next call brings another.
            ledger.reportQuota(connection.name, quota, Date.now()).catch(() => {});
          },
          log: (message, fields) => log('info', message, { connection: connection.name, ...fields }),
        }),
      ),
  };
}

/** One token bucket per connection in the ledger, shared by every worker and every class of call. */
async function acquire(
  ledger: Ledger,
  connection: string,
  callClass: CallClass,
  bucket: ConnectionSettings['bucket'],
  calls: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const grant = await ledger.take(connection, calls, callClass, bucket, Date.now());
    if (grant.granted) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(grant.waitMs, TOKEN_WAIT_MS_MAX)));
  }
}

/** A workflow execution that the server no longer knows has ended too: its retention is over. */
async function closedOwners(client: Client, owners: Owner[]): Promise<Owner[]> {
  const states = await Promise.all(
    owners.map(async (owner) => {
      try {
        const description = await client.workflow.getHandle(owner.workflowId, owner.runId).describe();
        return description.status.name !== 'RUNNING' && description.status.name !== 'PAUSED';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return true;
        throw error;
      }
    }),
  );
  return owners.filter((_, index) => states[index]);
}
