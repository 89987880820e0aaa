"""Rondo: a self-hosted LLMOps server, in front of any model.

The loop, and the room that each step lives in:

    prompts, knowledge   what an app says, and what it answers from; versions named by hash
    releases             both frozen with the model route into one manifest with one hash
    gateway              serves it on OpenAI's wire, from an immutable plan in memory
    journal -> store     every answer recorded before its last byte leaves, each exactly once
    feedback             what people thought of it
    monitoring           goals against live numbers; why one answer was what it was
    releases             ... and the next one, split, promoted, or rolled back

Below them: governance (keys, roles, audit), catalog (what exists), providers (models), traces (finding calls).
Above them: api, console, cli, and `server`, which wires everything together.
"""
