# A program with SQLite databases of its own, to be killed, and the example of one.
add_executable(sqlite_bank sqlite_bank.c)
target_link_libraries(sqlite_bank PRIVATE troth_sqlite troth_client troth_flags troth_warnings)
troth_integration_test(test_sqlite_bank LINKS troth_scene)
target_compile_definitions(
  test_sqlite_bank PRIVATE SQLITE_BANK="$<TARGET_FILE:sqlite_bank>"
                           EXAMPLE_SQLITE="$<TARGET_FILE:example_sqlite>")
add_dependencies(test_sqlite_bank sqlite_bank example_sqlite)
