# What works with real PostgreSQL and MariaDB servers and agents: the examples, and the bank.
troth_library(
  troth_database_world SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/database_world.c
                               ${CMAKE_SOURCE_DIR}/tests/lib/program_run.c
  LINKS troth_bank_sql PkgConfig::CHECK)

troth_library(troth_database_tx SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/database_tx.c
              LINKS troth_database_world PkgConfig::SQLITE PkgConfig::CHECK)

if(TARGET troth-agent)
  foreach(test test_database_faults test_database_operator)
    troth_integration_test(${test} LINKS troth_database_tx)
    add_dependencies(${test} troth-agent)
  endforeach()
  troth_integration_test(test_orders LINKS troth_database_world)
  target_compile_definitions(test_orders PRIVATE TROTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                 EXAMPLE_ORDERS="$<TARGET_FILE:example_orders>")
  add_dependencies(test_orders example_orders troth-agent)
  troth_integration_test(test_bank_sql LINKS troth_history_fixture troth_database_world)
  add_dependencies(test_bank_sql troth-agent)
endif()
