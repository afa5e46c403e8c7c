# troth_test_environment(NAME...): what these tests, and the processes that they start, inherit.
function(troth_test_environment)
  foreach(name ${ARGN})
    # Empty databases are made once and then copied (harness/database_server.h).
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
                 "TROTH_DATABASE_TEMPLATES=${CMAKE_BINARY_DIR}/databases")
    if(TROTH_SANITIZE STREQUAL "thread")
      # Debian's gRPC, libpq and libmariadb are built without the sanitizer: it would see their
      # accesses but not their locks.
      set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
                   "TSAN_OPTIONS=ignore_noninstrumented_modules=1")
    endif()
  endforeach()
endfunction()

# troth_unit_test(NAME LINKS ...): tests/unit/NAME.c, a Check suite, as one test of ctest's.
function(troth_unit_test name)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/unit/${name}.c)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} troth_flags troth_warnings PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS "fast")
  troth_test_environment(${name})
endfunction()
# troth_alloc_test(NAME LINKS ...): the same, with tests/lib/alloc_fail, which can make allocations
# of what is linked statically fail.
function(troth_alloc_test name)
  troth_unit_test(${name} ${ARGN})
  target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/lib/alloc_fail.c)
  target_link_options(${name} PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc)
endfunction()
# troth_database_test(NAME LINKS ...): tests/integration/NAME.c, which starts real database servers
# (harness/database_server.h) and no process of Troth's.
function(troth_database_test name)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/integration/${name}.c)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} troth_database_server troth_flags
                                        troth_warnings PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "integration")
  troth_test_environment(${name})
endfunction()
