-- The parse tree of a query, as JSON; of anything but queries it says that it cannot.
select json_serialize_sql($1, skip_null := true, skip_empty := true);
