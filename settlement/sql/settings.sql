-- What no reader may do: touch files, load extensions, read Python's variables, change these settings.
set python_enable_replacements = false;
set autoload_known_extensions = false;
set autoinstall_known_extensions = false;
set allow_community_extensions = false;
set enable_external_access = false;
set lock_configuration = true;
