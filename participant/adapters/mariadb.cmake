# MariaDB.
troth_library(
  troth_mariadb_driver
  SOURCES mariadb_driver.c mariadb_session.c mariadb_dial.c mariadb_dsn.c mariadb_rows.c
          mariadb_check.c mariadb_look.c mariadb_end.c mariadb_link.c
  LINKS troth_base troth_shell PkgConfig::MARIADB)
foreach(test test_mariadb_dsn test_mariadb_session)
  troth_unit_test(${test} LINKS troth_mariadb_driver)
endforeach()

# For programs that link it.
troth_library(troth_mariadb SOURCES mariadb.c LINKS troth_mariadb_driver troth_database)
add_library(Troth::mariadb ALIAS troth_mariadb)
