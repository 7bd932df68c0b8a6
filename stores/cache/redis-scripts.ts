/** A value is `<version> <read at, ms> <kind><rest>`; kinds: p profile, a alias, e erased, f floor (a version that was dropped). */
const HEAD = `
  local function head(key)
    local v, c, kind = string.match(redis.call('GETRANGE', key, 0, 40), '^(%d+) (%d+) (%a)')
    return tonumber(v), tonumber(c), kind
  end`;

/** KEYS: entries. ARGV: value and time to live (ms) of each in turn. Answers how many were written. */
export const PUT = `${HEAD}
  local written = 0
  for i, key in ipairs(KEYS) do
    local value, ttl = ARGV[2 * i - 1], ARGV[2 * i]
    local nv, nc = string.match(value, '^(%d+) (%d+) ')
    nv, nc = tonumber(nv), tonumber(nc)
    local v, c, kind = head(key)
    if v == nil or nv > v or (nv == v and (kind == 'f' or nc > c)) then
      redis.call('SET', key, value, 'PX', ttl)
      written = written + 1
    end
  end
  return written`;

/** KEYS: entries. ARGV: time to live of floors (ms), then a version of each. Answers which held an older profile, from 1. */
export const DROP = `${HEAD}
  local had = {}
  for i, key in ipairs(KEYS) do
    local version = ARGV[i + 1]
    local v, c, kind = head(key)
    if v == nil or v < tonumber(version) then
      redis.call('SET', key, version .. ' 0 f', 'PX', ARGV[1])
      if kind == 'p' then had[#had + 1] = i end
    end
  end
  return had`;
