# SPDX-License-Identifier: Apache-2.0
"""Cases with a connection of their own."""
import functools

from suite import Failure, check
from ttrpc import CallFailed


def with_agent(body):
    @functools.wraps(body)
    def case(world):
        agent = world.agent()
        try:
            body(world, agent)
        finally:
            agent.close()

    return case


def with_container(args, **more):
    """And with a running container, which is removed in the end."""

    def decorate(body):
        @functools.wraps(body)
        def case(world):
            agent = world.agent()
            try:
                name = world.create(agent, args, **more)
                try:
                    body(world, agent, name)
                finally:
                    world.remove(agent, name)
            finally:
                agent.close()

        return case

    return decorate


def refused(agent, name, *codes, **fields):
    """A call that has to fail with one of the codes, in words. The error."""
    try:
        answer = agent.call(name, **fields)
    except CallFailed as e:
        check(e.code in codes, f"{e}; the code should be one of {codes}")
        check(len(e.text) > 3, f"{name} fails without words")
        return e
    raise Failure(f"{name} should have failed: {str(fields)[:300]}; it says {answer}")
