import { entitiesOf } from '../../config/profiles.ts';
import { resolveSecrets } from '../../config/secrets.ts';
import type { ServeConfig } from '../../config/serve.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { Cache } from '../../stores/cache/cache.ts';
import { openCache } from '../../stores/cache/open.ts';
import type { Claims, OutboxRow } from '../../stores/claims/claims.ts';
import { concernedBy, denialsOf } from '../../rules/consent.ts';
import { claimsOf, type Services } from '../services.ts';
import { Feeder } from './feeder.ts';
import { Freshness } from './freshness.ts';
import { LiveReads } from './live.ts';
import { parseModel, textOf, type Model } from './model.ts';
import { Reader } from './reader.ts';
import { Suppositions } from './suppose.ts';
import { Unread } from './unread.ts';

/** What reading profiles takes: cache, feeder, freshness, live reads. */
export interface ProfileService {
  entities: ReadonlyMap<string, Entity>;
  /** LEDGER_UNAVAILABLE while it cannot be reached; CONFIG_INVALID where the configuration asks for no profiles. */
  claims: () => Promise<Claims>;
  cache: Cache;
  reader: Reader;
  feeder: Feeder;
  freshness: Freshness;
  live: LiveReads;
  unread: Unread;
  /** The model with what unread events say of its records, by the ordinary rules, marked; itself where they say nothing. */
  supposing: (model: Model) => Promise<Model>;
  now: () => number;
  start(): void;
  stop(): Promise<void>;
}

export function profileService(services: Services): ProfileService {
  const { serve, loaded, log, now } = services;
  const { config } = loaded;
  const entities = entitiesOf(config.profiles ?? { entities: [] });
  const cache = cacheOf(serve.cache);
  const freshness = new Freshness(config, services.ledger, now);
  const reader: Reader = new Reader({
    claims: services.claims,
    cache,
    entities,
    denials: async (claims, served) => await denialsOf(claims, served.profile, entities),
    isCurrent: () => feeder.isCurrent(),
    now,
  });
  const feeder = new Feeder({
    claims: services.claims,
    cursor: serve.cache.kind === 'redis' ? `cache/${serve.cache.prefix}` : null,
    take: async (rows, claims) =>
      (await reader.refresh(rows)) && (await reader.reread(await concernedIn(rows, claims, entities))),
    log,
  });
  const pushing = Object.values(config.connections).filter(({ webhooks }) => webhooks !== undefined);
  const unread = new Unread(
    pushing.map(({ name }) => name),
    services.inbox,
    now,
  );
  const suppositions = new Suppositions(config, services.ledger, unread);
  return {
    entities,
    unread,
    async supposing(model) {
      if (unread.namesOf(model.records).length === 0) return model;
      const said = await suppositions.of(model);
      const claims = said === null ? undefined : await services.claims();
      if (said === null || claims === undefined) return model;
      const [served] = await claims.served([model.profile], said.supposed);
      // What was read meanwhile counts: its answer comes by the cache.
      if (served === undefined || served.profile.version !== model.version) return model;
      if (served.unconfirmed.length === 0) return model;
      const opened = parseModel(textOf(served, entities.get(model.entity), model.denied));
      return opened === null ? model : { ...opened, supposed: said.tag };
    },
    claims: () => claimsOf(services),
    cache,
    reader,
    feeder,
    freshness,
    live: new LiveReads(config, services.inbox, serve.liveWithin),
    now,
    start() {
      freshness.start();
      feeder.start();
      unread.start();
    },
    async stop() {
      freshness.stop();
      unread.stop();
      await feeder.stop();
      await cache.close();
    },
  };
}

/** SECRET_MISSING names the variable or file (I5). */
function cacheOf(cache: ServeConfig['cache']): Cache {
  if (cache.kind === 'memory') return openCache(cache);
  const url = resolveSecrets(cache.url, 'serve.cache.url');
  if (typeof url !== 'string') {
    throw new HeadwaterError('SECRET_MISSING', 'serve.cache.url is no text');
  }
  return openCache({ kind: 'redis', url, prefix: cache.prefix });
}

/** What a person allows is served with the person: a changed consent changes both, though one of them has a new version. */
async function concernedIn(
  rows: readonly OutboxRow[],
  claims: Claims,
  entities: ReadonlyMap<string, Entity>,
): Promise<string[]> {
  const consents = rows.filter(({ entity }) => entity === 'consent');
  if (consents.length === 0) return [];
  const concerned = new Set<string>();
  for (const consent of await claims.current(consents.map(({ profile }) => profile))) {
    for (const id of await concernedBy(claims, consent, entities)) concerned.add(id);
  }
  return [...concerned];
}
