# How everything is compiled, and the two ways to declare a library.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# Assertions stay on in release: they guard what is written to disk.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()

set(TROTH_SANITIZE "" CACHE STRING "Sanitizers: empty, address (with undefined), or thread")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
pkg_check_modules(JSON_C REQUIRED IMPORTED_TARGET json-c)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
include(CheckSymbolExists)
# Debian's inih takes longer lines when it is told to; others what they were built with.
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::INIH)
check_symbol_exists(ini_max_line ini.h TROTH_INIH_HAS_MAX_LINE)
unset(CMAKE_REQUIRED_LIBRARIES)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(MARIADB REQUIRED IMPORTED_TARGET libmariadb)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

if(TROTH_SANITIZE)
  set(crash_points ON)
else()
  set(crash_points OFF)
endif()
option(TROTH_CRASH_POINTS "Named places at which tests kill a process (shell/crash_point.h)"
       ${crash_points})

# What every target of ours is compiled with; generated code takes it without the warnings.
add_library(troth_flags INTERFACE)
target_include_directories(troth_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(troth_flags INTERFACE _GNU_SOURCE TROTH_VERSION="${PROJECT_VERSION}")
if(TROTH_CRASH_POINTS)
  target_compile_definitions(troth_flags INTERFACE TROTH_CRASH_POINTS)
endif()
if(TROTH_SANITIZE STREQUAL "address")
  target_compile_options(troth_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                               -fno-omit-frame-pointer)
  target_link_options(troth_flags INTERFACE -fsanitize=address,undefined)
elseif(TROTH_SANITIZE STREQUAL "thread")
  target_compile_options(troth_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(troth_flags INTERFACE -fsanitize=thread)
endif()

add_library(troth_warnings INTERFACE)
target_compile_options(
  troth_warnings
  INTERFACE -Wall
            -Wextra
            -Wconversion
            -Wshadow
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wformat=2
            -Wswitch-enum
            -Wundef
            -Wvla
            -Wno-format-truncation # texts for humans are cut on purpose
            -Werror)

# troth_library(NAME SOURCES ... LINKS ...): a library that may do I/O.
function(troth_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC troth_flags ${arg_LINKS} PRIVATE troth_warnings)
endfunction()

# troth_core(NAME SOURCES ... CORES ...): a pure library. It may use other cores and libc, nothing
# else; the test `symbols_NAME` fails on any undefined symbol outside cmake/core_symbols.txt.
function(troth_core name)
  cmake_parse_arguments(arg "" "" "SOURCES;CORES" ${ARGN})
  troth_library(${name} SOURCES ${arg_SOURCES} LINKS ${arg_CORES})
  set(cores $<TARGET_FILE:${name}>)
  foreach(core ${arg_CORES})
    list(APPEND cores $<TARGET_FILE:${core}>)
  endforeach()
  add_test(NAME symbols_${name} COMMAND ${CMAKE_SOURCE_DIR}/cmake/check_symbols
                                        ${CMAKE_SOURCE_DIR}/cmake/core_symbols.txt ${cores})
  set_tests_properties(symbols_${name} PROPERTIES LABELS "fast")
endfunction()
