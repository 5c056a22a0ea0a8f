//===- Safetensors.cpp - Files of named tensors ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/IO/Safetensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>

using namespace rondo::io;
using llvm::StringRef;

static_assert(llvm::endianness::native == llvm::endianness::little,
              "elements are copied as they stand in the file");

namespace {

/// The longest header that is read, as in the reference implementation.
constexpr uint64_t maxHeaderBytes = 100'000'000;
constexpr unsigned maxRank = 64;

/// Where the elements of one tensor stand.
struct Entry {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

template <typename... Args>
llvm::Error fail(StringRef file, const char *format, Args &&...args) {
  return llvm::createStringError(
      file + ": not a valid safetensors file: " +
      llvm::formatv(false, format, std::forward<Args>(args)...).str());
}

/// A header nests three deep. The JSON parser recurses, so deeper text is
/// refused before it sees it.
bool nestsTooDeep(StringRef text) {
  unsigned depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '{' || c == '[') {
      if (++depth > 8)
        return true;
    } else if ((c == '}' || c == ']') && depth) {
      --depth;
    }
  }
  return false;
}

/// A number that is an exact integer in [0, 2^63).
std::optional<int64_t> asSize(const llvm::json::Value &value) {
  std::optional<int64_t> number = value.getAsInteger();
  if (!number || *number < 0)
    return std::nullopt;
  return number;
}

llvm::Expected<Entry> parseEntry(StringRef file, StringRef name,
                                 const llvm::json::Value &value,
                                 uint64_t dataBytes) {
  const llvm::json::Object *fields = value.getAsObject();
  if (!fields)
    return fail(file, "the entry of tensor `{0}` is not an object", name);
  std::optional<StringRef> dtypeText = fields->getString("dtype");
  const llvm::json::Array *shape = fields->getArray("shape");
  const llvm::json::Array *offsets = fields->getArray("data_offsets");
  if (!dtypeText || !shape || !offsets)
    return fail(file, "tensor `{0}` has no {1}", name,
                !dtypeText ? "dtype"
                : !shape   ? "shape"
                           : "data_offsets");

  Entry entry{name.str(), DType::F32, {}, 0, 0};
  std::optional<DType> dtype = parseDType(*dtypeText);
  if (!dtype)
    return fail(file,
                "tensor `{0}` has the dtype `{1}`; F64, F32, F16, BF16, I64, "
                "I32, I16, I8, U8 and BOOL can be read",
                name, *dtypeText);
  entry.dtype = *dtype;
  if (shape->size() > maxRank)
    return fail(file, "tensor `{0}` has {1} dims; at most {2} can be read",
                name, shape->size(), maxRank);
  for (const llvm::json::Value &dim : *shape) {
    std::optional<int64_t> size = asSize(dim);
    if (!size)
      return fail(file, "a dim of tensor `{0}` is not an integer >= 0", name);
    entry.shape.push_back(*size);
  }
  std::optional<size_t> count = elementCount(entry.shape);
  if (!count)
    return fail(file, "the shape {1} of tensor `{0}` is too large", name,
                formatShape(entry.shape));

  std::optional<int64_t> begin, end;
  if (offsets->size() == 2) {
    begin = asSize((*offsets)[0]);
    end = asSize((*offsets)[1]);
  }
  if (!begin || !end || *begin > *end)
    return fail(file,
                "the data_offsets of tensor `{0}` are not [begin, end] "
                "with 0 <= begin <= end",
                name);
  entry.begin = *begin;
  entry.end = *end;
  if (entry.end > dataBytes)
    return fail(file,
                "the data of tensor `{0}` ends at byte {1}, but the file holds "
                "{2} bytes of data (is it cut off?)",
                name, entry.end, dataBytes);
  uint64_t expected = *count * dtypeBytes(entry.dtype);
  if (entry.end - entry.begin != expected)
    return fail(file,
                "tensor `{0}` of dtype {1} and shape {2} takes {3} bytes, but "
                "its data_offsets hold {4}",
                name, dtypeName(entry.dtype), formatShape(entry.shape),
                expected, entry.end - entry.begin);
  return entry;
}

/// Tensors must cover the data without holes or overlaps.
llvm::Error checkCoverage(StringRef file, std::vector<Entry> &entries,
                          uint64_t dataBytes) {
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::make_tuple(a.begin, a.end, StringRef(a.name)) <
           std::make_tuple(b.begin, b.end, StringRef(b.name));
  });
  uint64_t position = 0;
  for (const Entry &entry : entries) {
    if (entry.begin != position)
      return fail(file, "the data of tensor `{0}` begins at byte {1}, {2}",
                  entry.name, entry.begin,
                  entry.begin < position ? "inside another tensor's"
                                         : "after a hole");
    position = entry.end;
  }
  if (position != dataBytes)
    return fail(file, "{0} bytes at the end belong to no tensor",
                dataBytes - position);
  return llvm::Error::success();
}

} // namespace

llvm::Expected<TensorMap>
rondo::io::parseSafetensors(llvm::MemoryBufferRef buffer) {
  StringRef file = buffer.getBufferIdentifier();
  StringRef bytes = buffer.getBuffer();
  if (bytes.size() < 8)
    return fail(file,
                "it has {0} bytes, fewer than the 8 of the header's "
                "length",
                bytes.size());
  uint64_t headerBytes = llvm::support::endian::read64le(bytes.data());
  if (headerBytes > maxHeaderBytes)
    return fail(file,
                "its first 8 bytes give a header of {0} bytes, more than "
                "{1}",
                headerBytes, maxHeaderBytes);
  if (headerBytes > bytes.size() - 8)
    return fail(file,
                "its header of {0} bytes ends after the file, which has "
                "{1}",
                headerBytes, bytes.size());
  StringRef header = bytes.substr(8, headerBytes);
  StringRef data = bytes.substr(8 + headerBytes);
  if (nestsTooDeep(header))
    return fail(file, "its header is nested too deep");
  llvm::Expected<llvm::json::Value> json = llvm::json::parse(header);
  if (!json)
    return fail(file, "its header is not JSON: {0}",
                llvm::toString(json.takeError()));
  const llvm::json::Object *object = json->getAsObject();
  if (!object)
    return fail(file, "its header is not a JSON object");

  std::vector<Entry> entries;
  for (const auto &[key, value] : *object) {
    StringRef name = key;
    if (name == "__metadata__")
      continue;
    llvm::Expected<Entry> entry = parseEntry(file, name, value, data.size());
    if (!entry)
      return entry.takeError();
    entries.push_back(std::move(*entry));
  }
  if (llvm::Error error = checkCoverage(file, entries, data.size()))
    return error;

  TensorMap tensors;
  for (const Entry &entry : entries) {
    Array array(entry.dtype, entry.shape);
    if (array.sizeInBytes())
      std::memcpy(array.data(), data.data() + entry.begin, array.sizeInBytes());
    tensors.emplace(entry.name, std::move(array));
  }
  return tensors;
}

llvm::Expected<TensorMap> rondo::io::readSafetensors(StringRef path) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      llvm::MemoryBuffer::getFileOrSTDIN(path, /*IsText=*/false,
                                         /*RequiresNullTerminator=*/false);
  if (std::error_code error = buffer.getError())
    return llvm::createStringError(
        error, path + ": cannot be read: " + error.message());
  return parseSafetensors(**buffer);
}

llvm::Error rondo::io::writeSafetensors(StringRef path,
                                        const TensorMap &tensors) {
  // Large elements first: every tensor is then aligned in the file.
  std::vector<const TensorMap::value_type *> order;
  for (const TensorMap::value_type &entry : tensors)
    order.push_back(&entry);
  llvm::sort(order, [](const auto *a, const auto *b) {
    unsigned aBytes = dtypeBytes(a->second.dtype());
    unsigned bBytes = dtypeBytes(b->second.dtype());
    return aBytes != bBytes ? aBytes > bBytes : a->first < b->first;
  });

  std::string header;
  llvm::raw_string_ostream text(header);
  llvm::json::OStream json(text);
  uint64_t offset = 0;
  json.object([&] {
    for (const auto *entry : order) {
      const Array &array = entry->second;
      json.attributeObject(llvm::json::fixUTF8(entry->first), [&] {
        json.attribute("dtype", dtypeName(array.dtype()));
        json.attributeArray("shape", [&] {
          for (int64_t dim : array.shape())
            json.value(dim);
        });
        json.attributeArray("data_offsets", [&] {
          json.value(static_cast<int64_t>(offset));
          json.value(static_cast<int64_t>(offset + array.sizeInBytes()));
        });
      });
      offset += array.sizeInBytes();
    }
  });
  json.flush();
  header.append(llvm::alignTo(header.size(), 8) - header.size(), ' ');

  llvm::Error error =
      llvm::writeToOutput(path, [&](llvm::raw_ostream &os) -> llvm::Error {
        char length[8];
        llvm::support::endian::write64le(length, header.size());
        os.write(length, 8);
        os << header;
        for (const auto *entry : order)
          os.write(reinterpret_cast<const char *>(entry->second.data()),
                   entry->second.sizeInBytes());
        return llvm::Error::success();
      });
  if (error)
    return llvm::createStringError(
        path + ": cannot be written: " + llvm::toString(std::move(error)));
  return llvm::Error::success();
}
