-- The functions that an analyst's expressions may call: built in, computing from their arguments
-- alone. Left out are those that reach into the engine, and those that make of a small argument a
-- text or a list so large that no memory limit holds it.
select distinct function_name
from duckdb_functions()
where internal
    and function_type in ('scalar', 'aggregate', 'window', 'macro')
    and (stability is null or stability <> 'VOLATILE')
    and not regexp_matches(function_name, '^(__internal|_?json_(de)?serialize|pg_|has_|inet_|col_desc)')
    and function_name not in (
        'combine', 'combine_aggr', 'current_setting', 'finalize', 'getvariable', 'in_search_path',
        'invoke', 'to_aggregate_state', 'txid_current',
        'array_resize', 'bar', 'bitstring', 'format', 'generate_series', 'list_resize', 'lpad',
        'printf', 'range', 'repeat', 'reservoir_quantile', 'rpad'
    )
union all
select unnest(['gen_random_uuid', 'random', 'unnest', 'uuid']);
