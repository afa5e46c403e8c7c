# Tests with a real MariaDB server.
troth_library(
  troth_mariadb_fixture SOURCES ${CMAKE_SOURCE_DIR}/tests/lib/mariadb_fixture.c
  LINKS troth_mariadb_driver troth_database_server PkgConfig::CHECK)
foreach(test test_mariadb_facts test_mariadb_driver test_mariadb_check)
  troth_database_test(${test} LINKS troth_mariadb_fixture)
endforeach()
