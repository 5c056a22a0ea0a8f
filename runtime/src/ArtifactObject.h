//===- ArtifactObject.h - The support object, as bytes ------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Provided by the target RondoArtifactObject: the object files made from
// runtime/src/Artifact, for the compiler to link into every library: one for
// libraries that run on the host, one for those with device code.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_SRC_ARTIFACTOBJECT_H
#define RONDO_SRC_ARTIFACTOBJECT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const unsigned char rondo_artifact_object[];
extern const size_t rondo_artifact_object_size;
extern const unsigned char rondo_artifact_device_object[];
extern const size_t rondo_artifact_device_object_size;

#ifdef __cplusplus
}
#endif

#endif // RONDO_SRC_ARTIFACTOBJECT_H
