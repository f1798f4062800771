/** What Redis does for the circuits, in one go each. */
import type { SoftScript } from '../queue/soft-store.js';
import { SLOT_MS } from '../routing/circuit.js';
import { HALF_LIFE_MS } from './recent-answers.js';

/** Slots older than these are of no use to anybody. */
const KEPT_SLOTS = 7;
const KEPT_S = 86_400;
const MOST_RECORDS = 4_000;
/** So many records at most are told and read in one go: Redis does nothing else meanwhile. */
export const PAGE = 500;

/**
 * Adds what one process tells, and gives back what has changed since its cursor.
 *
 * A hash has a record for each circuit (`c…`) and model (`m…`); a sorted set has when each changed last. Of two phases
 * the one with the greater stamp holds; outcomes are added up. Scores grow with the time, so that a cursor stays right
 * when the store has lost everything.
 *
 * KEYS: records, changes. ARGV: news (JSON), cursor. Answer: the time (Unix ms), the new cursor, whether there is more, then
 * name and record by turns.
 */
export const SYNC: SoftScript = {
  name: 'share circuits',
  lua: `
local records, changes = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('ZREVRANGE', changes, 0, 0, 'WITHSCORES')[2] or '0')

local function write(name, record)
  last = math.max(last + 1, now * 1000)
  redis.call('HSET', records, name, cjson.encode(record))
  redis.call('ZADD', changes, string.format('%.0f', last), name)
end

local news = cjson.decode(ARGV[1])
local oldest = math.floor(now / ${SLOT_MS}) - ${KEPT_SLOTS}
for _, told in ipairs(news.circuits) do
  local raw = redis.call('HGET', records, 'c' .. told.n)
  local record = raw and cjson.decode(raw) or { s = '', c = {} }
  local isNew = false
  if told.s > record.s then
    record.s, record.p, isNew = told.s, told.p, true
  end
  for at, counts in pairs(told.c) do
    local known = record.c[at] or { 0, 0 }
    record.c[at] = { known[1] + counts[1], known[2] + counts[2] }
    isNew = true
  end
  if told.f and (not record.f or record.f[2] < told.f[2]) then
    record.f, isNew = told.f, true
  end
  if isNew then
    local recent = {}
    for at, counts in pairs(record.c) do
      if tonumber(string.match(at, '|(%d+)$')) >= oldest then recent[at] = counts end
    end
    record.c = recent
    write('c' .. told.n, record)
  end
end

for _, told in ipairs(news.models) do
  local raw = redis.call('HGET', records, 'm' .. told.model)
  local sums = raw and cjson.decode(raw) or { goodMs = 0, good = 0, all = 0, atMs = now }
  local keptSums = 0.5 ^ (math.max(0, now - sums.atMs) / ${HALF_LIFE_MS})
  local keptTold = 0.5 ^ (math.max(0, now - told.sums.atMs) / ${HALF_LIFE_MS})
  local both = { atMs = now }
  for _, field in ipairs({ 'goodMs', 'good', 'all' }) do
    both[field] = sums[field] * keptSums + told.sums[field] * keptTold
  end
  write('m' .. told.model, both)
end

local tooMany = redis.call('ZCARD', changes) - ${MOST_RECORDS}
if tooMany > 0 then
  for _, name in ipairs(redis.call('ZRANGE', changes, 0, tooMany - 1)) do
    redis.call('HDEL', records, name)
    redis.call('ZREM', changes, name)
  end
end
redis.call('EXPIRE', records, ${KEPT_S})
redis.call('EXPIRE', changes, ${KEPT_S})

local page = redis.call('ZRANGEBYSCORE', changes, '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ${PAGE})
local cursor = ARGV[2]
local answer = { string.format('%.0f', now), cursor, #page == 2 * ${PAGE} and 1 or 0 }
for at = 1, #page, 2 do
  local record = redis.call('HGET', records, page[at])
  if record then
    table.insert(answer, page[at])
    table.insert(answer, record)
  end
  answer[2] = page[at + 1]
end
return answer
`,
};

/** KEYS: the probe. ARGV: who, for how many milliseconds. Answer: 1 if it is theirs, else 0. */
export const TAKE_PROBE: SoftScript = {
  name: 'take a probe',
  lua: `return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0`,
};

/** Also where the store has lost it. KEYS: the probe. ARGV: who, for how many milliseconds. */
export const RENEW_PROBE: SoftScript = {
  name: 'renew a probe',
  lua: `
if (redis.call('GET', KEYS[1]) or ARGV[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1`,
};

/** KEYS: the probe. ARGV: who. */
export const RELEASE_PROBE: SoftScript = {
  name: 'release a probe',
  lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1`,
};
