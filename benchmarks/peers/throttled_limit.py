"""One of the processes of `redis_limits`, limited by throttled-py over Redis.

Takes the settings of `benchmarks.redis_limits_process` as lines of JSON and answers what it saw.
By GCRA: its token bucket counts whole seconds, and uses half of such a limit.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from random import Random

import redis
from throttled.asyncio import RedisStore, Throttled, rate_limiter


async def main(settings: dict) -> dict:
    calls, dice = [], Random(settings["seed"])
    per_s, load = settings["tokens_per_minute"] / 60, settings["load"]
    throttle = Throttled(
        using="gcra",
        quota=rate_limiter.per_sec(int(per_s), burst=int(settings["burst_s"] * per_s)),
        store=RedisStore(server=settings["url"]),
        timeout=1e6,
    )
    await throttle.limit(settings["name"], cost=1)
    with redis.Redis.from_url(settings["url"], decode_responses=True) as client:
        client.incr(settings["ready"])
        _, stamp = client.blpop([settings["go"]], timeout=120)
    ends_s = float(stamp) + settings["seconds"]
    await asyncio.sleep(float(stamp) - time.monotonic())

    async def task() -> None:
        while True:
            large = dice.random() < load["large_share"]
            tokens = load["large_tokens"] if large else dice.randint(*load["tokens"])
            asked_s = time.monotonic()
            await throttle.limit(settings["name"], cost=tokens)
            granted_s = time.monotonic()
            if granted_s > ends_s:
                return
            calls.append((granted_s, tokens, granted_s - asked_s))
            await asyncio.sleep(dice.random() * load["answer_s"])

    tasks = [asyncio.create_task(task()) for _ in range(settings["tasks"])]
    _, late = await asyncio.wait(tasks, timeout=ends_s - time.monotonic())
    for one in late:
        one.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {"calls": calls, "alone": [], "shared": []}


for line in sys.stdin:
    print(json.dumps(asyncio.run(main(json.loads(line)))), flush=True)
