// What libtriga_mpi.so exports. Only these two names; everything else goes through Fabric.
#pragma once

#include "comm/fabric.h"

namespace triga {

inline constexpr const char* kOpenMpiFabric = "triga_open_mpi_fabric";
inline constexpr const char* kMpiVersion = "triga_mpi_version";

/// Initialises MPI. The caller owns the result. Throws: CommError.
using OpenMpiFabric = Fabric*();
/// Of the MPI library; may be called before MPI is initialised.
using MpiVersion = const char*();

}  // namespace triga
