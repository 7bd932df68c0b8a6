import type { Cache } from './cache.ts';
import { openMemoryCache } from './memory.ts';
import { openRedisCache } from './redis.ts';

export type CacheConfig =
  | { kind: 'memory'; profilesMax: number }
  | { kind: 'redis'; url: string; prefix: string };

export function openCache(config: CacheConfig): Cache {
  return config.kind === 'memory' ? openMemoryCache(config) : openRedisCache(config);
}
