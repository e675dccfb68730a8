"""Users whose passwords a web application knows. Prints what becomes of each login, as JSON.

Usage: elsewhere.py PORT USER:PASSWORD…, with the certificate in CERTIFICATE.
"""
import asyncio
import json
import sys

from story import PATIENCE, User, play


async def log_in(user, password):
    """How a login ends: online, or the condition of the failure."""
    client = User(user + '@example.com', password, int(sys.argv[1]))
    outcome = asyncio.get_running_loop().create_future()
    client.add_event_handler('session_start', lambda _: outcome.done() or outcome.set_result('online'))
    client.add_event_handler('failed_auth', lambda f: outcome.done() or outcome.set_result(f['condition']))
    client.connect(('127.0.0.1', client.port))
    try:
        return await asyncio.wait_for(outcome, PATIENCE)
    finally:
        client.abort()


async def story():
    seen = {}
    for who in sys.argv[2:]:
        seen[who] = await log_in(*who.split(':', 1))
    print(json.dumps(seen))


play(story())
