-- How many keys there are, and which of them may have expired.
--
-- KEYS: index, expiry. ARGV: the lower and the upper bound ('-' and '+': all), now, how many expired keys are told.
-- Answers how many keys of the range are in the index; how many of all have expired; and those, if they are not too many.
local all = ARGV[1] == '-' and ARGV[2] == '+'
local keys = all and redis.call('ZCARD', KEYS[1]) or redis.call('ZLEXCOUNT', KEYS[1], ARGV[1], ARGV[2])
local expired = redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[3])
if all or expired == 0 or expired > tonumber(ARGV[4]) then return { keys, expired, {} } end
return { keys, expired, redis.call('ZRANGE', KEYS[2], '-inf', ARGV[3], 'BYSCORE') }
