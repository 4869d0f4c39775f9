// Matrix products by oneDNN, which generates its kernels at run time for the processor.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "core/check.hpp"
#include "core/compute/product.hpp"

namespace lateral::product {
namespace {

/// oneDNN would start OpenMP threads; ours are Compute's. The setting is one of each thread.
void forbid_threads() {
  thread_local bool forbidden = false;
  if (!forbidden) omp_set_num_threads(1);
  forbidden = true;
}

class OneDnn final : public MatrixProduct {
 public:
  /// oneDNN counts rows first: Cᵀ = op(B)ᵀ op(A)ᵀ is the same memory.
  void multiply(Scalar alpha, const Operand& A, const Operand& B, Scalar beta,
                MatrixRef C) const override {
    if (C.size() == 0) return;
    forbid_threads();
    const dnnl_status_t status =
        dnnl_sgemm(B.transposed ? 'T' : 'N', A.transposed ? 'T' : 'N', C.cols(), C.rows(), A.cols(),
                   alpha, B.matrix.data(), B.matrix.outerStride(), A.matrix.data(),
                   A.matrix.outerStride(), beta, C.data(), C.outerStride());
    LATERAL_CHECK(status == dnnl_success);
  }

  void multiply_bf16(const Operand& A, const Operand& B, MatrixRef C) const override {
    using dnnl::memory;
    if (C.size() == 0) return;
    forbid_threads();
    thread_local dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    thread_local dnnl::stream stream{engine};
    thread_local std::vector<std::uint16_t> a, b;
    const Rounded first_factor = rounded(B, b), second_factor = rounded(A, a);
    const auto layout = [](const Operand& m, Index stride) {  // of the transpose, in elements
      return m.transposed ? memory::dims{1, stride} : memory::dims{stride, 1};
    };
    const memory::desc first{
        {C.cols(), A.cols()}, memory::data_type::bf16, layout(B, first_factor.stride)};
    const memory::desc second{
        {A.cols(), C.rows()}, memory::data_type::bf16, layout(A, second_factor.stride)};
    const memory::desc result{
        {C.cols(), C.rows()}, memory::data_type::f32, memory::dims{C.outerStride(), 1}};
    // Made once a shape: the library keeps what it has made.
    const dnnl::matmul matmul{{{first, second, result}, engine}};
    matmul.execute(stream, {{DNNL_ARG_SRC, memory{first, engine, first_factor.data}},
                            {DNNL_ARG_WEIGHTS, memory{second, engine, second_factor.data}},
                            {DNNL_ARG_DST, memory{result, engine, C.data()}}});
    stream.wait();
  }

  bool multiplies_bf16() const override {
    const Matrix one = Matrix::Ones(16, 16);
    Matrix out(16, 16);
    try {
      multiply_bf16({one}, {one}, out);
    } catch (const dnnl::error&) {  // needs AVX-512
      return false;
    }
    return true;
  }

  std::string description() const override {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + ", instruction set " + instruction_set();
  }

 private:
  struct Rounded {
    void* data;  // not const, as the library requires; never written
    Index stride;
  };
  static Rounded rounded(const Operand& m, std::vector<std::uint16_t>& scratch) {
    if (m.rounded != nullptr) return {const_cast<std::uint16_t*>(m.rounded), m.rounded_stride};
    scratch.resize(static_cast<std::size_t>(m.matrix.size()));
    round_to_bf16(m.matrix, scratch.data());
    return {scratch.data(), m.matrix.rows()};
  }

  static std::string instruction_set() {
    switch (dnnl_get_effective_cpu_isa()) {
      case dnnl_cpu_isa_sse41:
        return "sse4.1";
      case dnnl_cpu_isa_avx:
        return "avx";
      case dnnl_cpu_isa_avx2:
        return "avx2";
      case dnnl_cpu_isa_avx512_core:
        return "avx512";
      case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512 vnni";
      case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512 bf16";
      case dnnl_cpu_isa_avx512_core_amx:
        return "amx";
      default:
        return "number " + std::to_string(dnnl_get_effective_cpu_isa());
    }
  }
};

}  // namespace

std::unique_ptr<MatrixProduct> onednn() { return std::make_unique<OneDnn>(); }

}  // namespace lateral::product
