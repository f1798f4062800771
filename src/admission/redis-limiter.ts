/**
 * Limits that all processes share, kept in Redis on Redis's own clock: one script for each deed, so that nobody comes
 * between the looking and the taking. The rules are those of `memory-limiter.ts`, and the same cases hold for both.
 */
import type { SoftScript, SoftStore } from '../queue/soft-store.js';
import { BURST_MS, FIRST_HOLD_MS, HOLD_WEIGHT, LONGEST_LINE_MS, MINUTE_MS } from './limit-rules.js';
import type { Demand, Granted, LimitKind, Refused } from './limiter.js';

export class RedisLimiter {
  /** `nowMs` never goes back; only how long calls last is measured by it. */
  constructor(
    private readonly store: Pick<SoftStore, 'run'>,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Null when Redis does not answer; then the call may have been counted all the same. */
  async take(demand: Demand): Promise<Granted | Refused | null> {
    const answer = await this.run(TAKE, demand, [demand.id, demand.tokens, demand.holdMs, 0]);
    if (answer === null) return null;
    if (answer.length === 0) return { ok: true, demand, sinceMs: this.nowMs(), isShared: true };
    const [index, kind, retryAfterMs] = answer as [number, LimitKind, number];
    return { ok: false, limit: demand.limits[index - 1]?.name ?? '', kind, retryAfterMs };
  }

  async giveBack({ demand, sinceMs }: Granted, usedTokens: number | null): Promise<void> {
    const heldMs = this.nowMs() - sinceMs;
    const change = usedTokens === null ? [-1, -demand.tokens, -1] : [0, usedTokens - demand.tokens, heldMs];
    await this.run(GIVE_BACK, demand, [demand.id, ...change]);
  }

  async renew({ demand }: Granted): Promise<void> {
    await this.run(RENEW, demand, [demand.id, 0, demand.holdMs, 0]);
  }

  /** `own` are always four; behind them stand each name's three limits, 0 for none. */
  private async run(
    script: SoftScript,
    demand: Demand,
    own: readonly (string | number)[],
  ): Promise<unknown[] | null> {
    const keys = demand.limits.flatMap(({ name }) => [`limit:${name}`, `slots:${name}`]);
    const most = demand.limits.flatMap(({ limits }) => [
      limits.rpm ?? 0,
      limits.tpm ?? 0,
      limits.concurrency ?? 0,
    ]);
    return (await this.store.run(script, keys, [...own, ...most])) as unknown[] | null;
  }
}

/**
 * What all deeds begin with. A name has a hash, with until when its `rpm` and `tpm` are paid for, where the line of each of
 * its limits ends and how long its calls last; and a sorted set of its calls by the end of their leases.
 */
const COMMON = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local names = #KEYS / 2

local function read(name, field)
  local value = redis.call('HGET', KEYS[2 * name - 1], field)
  return value and tonumber(value)
end
local function write(name, field, value)
  redis.call('HSET', KEYS[2 * name - 1], field, string.format('%.4f', value))
  redis.call('PEXPIRE', KEYS[2 * name - 1], 86400000)
end
local function most(name, kind)
  local place = ({ rpm = 1, tpm = 2, concurrency = 3 })[kind]
  local value = tonumber(ARGV[1 + 3 * name + place])
  return value > 0 and value or nil
end
local function slots(name)
  return KEYS[2 * name]
end
local function hold(name, id, untilMs)
  redis.call('ZADD', slots(name), string.format('%.4f', untilMs), id)
  redis.call('PEXPIRE', slots(name), 86400000)
end
`;

const TAKE: SoftScript = {
  name: 'take',
  lua: `${COMMON}
local id, tokens, holdMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local checks, slowest = {}, nil
local function check(found)
  checks[#checks + 1] = found
  if found.openFrom > now and not (slowest and slowest.openFrom >= found.openFrom) then slowest = found end
end

for name = 1, names do
  for _, kind in ipairs({ 'rpm', 'tpm' }) do
    local limit = most(name, kind)
    if limit then
      local unit = ${MINUTE_MS} / limit
      local burst = math.max(unit, ${BURST_MS})
      local paid = read(name, kind) or now - burst
      check({ name = name, kind = kind, paid = paid, step = unit * (kind == 'tpm' and tokens or 1),
        openFrom = paid + unit - burst, isRested = paid - now <= burst / 2 - unit })
    end
  end
  local limit = most(name, 'concurrency')
  if limit then
    redis.call('ZREMRANGEBYSCORE', slots(name), '-inf', string.format('%.4f', now))
    local used = redis.call('ZCARD', slots(name))
    local step = (read(name, 'hold') or ${FIRST_HOLD_MS}) / limit
    check({ name = name, kind = 'concurrency', step = step,
      openFrom = used < limit and now or now + step, isRested = used * 2 + 1 < limit })
  end
end

if slowest then
  local behind = math.max(slowest.openFrom, read(slowest.name, slowest.kind .. '_line') or 0)
  local place = behind - slowest.openFrom > ${LONGEST_LINE_MS} and slowest.openFrom or behind
  write(slowest.name, slowest.kind .. '_line', place + slowest.step)
  return { slowest.name, slowest.kind, math.max(1, math.ceil(place - now)) }
end

for _, found in ipairs(checks) do
  if found.isRested then redis.call('HDEL', KEYS[2 * found.name - 1], found.kind .. '_line') end
  if found.kind == 'concurrency' then
    hold(found.name, id, now + holdMs)
  else
    write(found.name, found.kind, math.max(found.paid, now) + found.step)
  end
end
return {}`,
};

const GIVE_BACK: SoftScript = {
  name: 'give back',
  lua: `${COMMON}
local id, change, heldMs = ARGV[1], { rpm = tonumber(ARGV[2]), tpm = tonumber(ARGV[3]) }, tonumber(ARGV[4])
for name = 1, names do
  for kind, units in pairs(change) do
    local limit, paid = most(name, kind), read(name, kind)
    if limit and paid and units ~= 0 then
      local from = units > 0 and math.max(paid, now) or paid
      write(name, kind, from + units * ${MINUTE_MS} / limit)
    end
  end
  if most(name, 'concurrency') and redis.call('ZREM', slots(name), id) == 1 and heldMs >= 0 then
    local mean = read(name, 'hold') or ${FIRST_HOLD_MS}
    write(name, 'hold', mean + ${HOLD_WEIGHT} * (heldMs - mean))
  end
end
return {}`,
};

const RENEW: SoftScript = {
  name: 'renew',
  lua: `${COMMON}
for name = 1, names do
  if most(name, 'concurrency') then hold(name, ARGV[1], now + tonumber(ARGV[3])) end
end
return {}`,
};
