# troth_unit_test(NAME LINKS ...): tests/unit/NAME.c, a Check suite, as one test of ctest's.
function(troth_unit_test name)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/unit/${name}.c)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} troth_flags troth_warnings PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS "fast")
endfunction()
