-- Every public column: view, column, type, comment; in the order in which they were made.
select c.table_name, c.column_name, c.data_type, c.comment
from duckdb_columns() as c
inner join duckdb_views() as v on v.view_oid = c.table_oid
where c.schema_name = 'main' and not v.internal
order by c.table_oid, c.column_index;
