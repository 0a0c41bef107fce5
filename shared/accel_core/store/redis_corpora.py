"""The changes of corpora, numbered by the server: the scripts that add and read them."""

from __future__ import annotations

from accel_core.policy.corpus import MAX_NAMED
from accel_core.store.redis_scripts import Script

ADD_CHANGE = Script(
    f"""
local corpus, documents, news = unpack(KEYS)
local revision = redis.call('HINCRBY', corpus, 'revision', 1)
local named = #ARGV - 2
if ARGV[2] == '1' and redis.call('ZCARD', documents) + named <= {MAX_NAMED} then
    for i = 3, #ARGV do redis.call('ZADD', documents, revision, ARGV[i]) end
else
    redis.call('HSET', corpus, 'everything', revision)
    redis.call('DEL', documents)
end
redis.call('PUBLISH', news, 'corpora ' .. ARGV[1])
return revision
"""
)
"""ARGV: writer, 1 where documents are known, the documents. Returns the change's revision."""

READ_CHANGES = Script(
    """
local state = redis.call('HMGET', KEYS[1], 'revision', 'everything')
local after = '(' .. ARGV[1]
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], after, '+inf', 'WITHSCORES')
return {state[1] or '0', state[2] or '0', changed}
"""
)
"""ARGV: the revision asked from. Returns revision, everything, then documents and revisions."""
