# Installing the two libraries that others link: libtroth and libtroth-participant.
#
# troth_install_library(TARGET NAME name EXPORT name HEADERS ... DESCRIPTION text [MAP file])
#
# makes from the static library TARGET a shared one, libNAME, that holds all of ours that it needs
# and shows only the functions troth_*, and installs it with its headers, a pkg-config file
# NAME.pc and the CMake target Troth::EXPORT (find_package(Troth)). The headers keep their folders
# under include/troth, since they include each other as "base/txid.h". MAP: a version script of its
# own, which shows what it names.

include(CMakePackageConfigHelpers)

set(TROTH_VERSION_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/troth_public.map)

# troth_install_pkg_config(NAME DESCRIPTION): NAME.pc, for libNAME.
function(troth_install_pkg_config NAME DESCRIPTION)
  # Relative to itself, since `cmake --install --prefix` names another place than the configuration.
  file(RELATIVE_PATH UP_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  configure_file(${CMAKE_SOURCE_DIR}/cmake/troth.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${NAME}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${NAME}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

function(troth_install_library target)
  cmake_parse_arguments(arg "" "NAME;EXPORT;DESCRIPTION;MAP" "HEADERS" ${ARGN})
  set(shared ${target}_shared)
  set(map ${TROTH_VERSION_SCRIPT})
  if(arg_MAP)
    set(map ${arg_MAP})
  endif()
  get_target_property(sources ${target} SOURCES)
  get_target_property(links ${target} LINK_LIBRARIES)
  list(FILTER links EXCLUDE REGEX "LINK_ONLY")
  add_library(${shared} SHARED ${sources})
  target_link_libraries(${shared} PRIVATE ${links} troth_warnings)
  target_link_options(${shared} PRIVATE LINKER:--as-needed
                      LINKER:--version-script=${map})
  set_target_properties(
    ${shared}
    PROPERTIES OUTPUT_NAME ${arg_NAME}
               EXPORT_NAME ${arg_EXPORT}
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}
               LINK_DEPENDS ${map})
  target_include_directories(${shared} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/troth>)

  install(TARGETS ${shared} EXPORT TrothTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${arg_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/troth)
  install(FILES ${CMAKE_SOURCE_DIR}/base/troth_err.h ${CMAKE_SOURCE_DIR}/base/txid.h
                ${CMAKE_SOURCE_DIR}/base/gid.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/troth/base)

  troth_install_pkg_config(${arg_NAME} "${arg_DESCRIPTION}")
endfunction()

get_property(done GLOBAL PROPERTY troth_package_config)
if(NOT done)
  set_property(GLOBAL PROPERTY troth_package_config TRUE)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Troth)
  file(WRITE ${CMAKE_BINARY_DIR}/TrothConfig.cmake
       "include(\${CMAKE_CURRENT_LIST_DIR}/TrothTargets.cmake)\n")
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/TrothConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/TrothConfig.cmake ${CMAKE_BINARY_DIR}/TrothConfigVersion.cmake
          DESTINATION ${package})
  install(EXPORT TrothTargets NAMESPACE Troth:: DESTINATION ${package})
endif()
