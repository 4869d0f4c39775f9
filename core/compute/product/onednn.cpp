// Matrix products by oneDNN, whose kernels are written at run time for the processor at hand.
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
    const auto layout = [](const Operand& m) {  // of the transpose, in elements
      return m.transposed ? memory::dims{1, m.matrix.rows()} : memory::dims{m.matrix.rows(), 1};
    };
    const memory::desc first{{C.cols(), A.cols()}, memory::data_type::bf16, layout(B)};
    const memory::desc second{{A.cols(), C.rows()}, memory::data_type::bf16, layout(A)};
    const memory::desc result{
        {C.cols(), C.rows()}, memory::data_type::f32, memory::dims{C.outerStride(), 1}};
    round(B.matrix, b);
    round(A.matrix, a);
    // Made once a shape: the library keeps what it has made.
    const dnnl::matmul matmul{{{first, second, result}, engine}};
    matmul.execute(stream, {{DNNL_ARG_SRC, memory{first, engine, b.data()}},
                            {DNNL_ARG_WEIGHTS, memory{second, engine, a.data()}},
                            {DNNL_ARG_DST, memory{result, engine, C.data()}}});
    stream.wait();
  }

  std::string description() const override {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + ", instruction set " + instruction_set();
  }

 private:
  /// To nearest, ties to even, as the processor's own conversion.
  static void round(ConstMatrixRef m, std::vector<std::uint16_t>& out) {
    out.resize(static_cast<std::size_t>(m.size()));
    Eigen::Map<Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic>>(
        reinterpret_cast<Eigen::bfloat16*>(out.data()), m.rows(), m.cols()) =
        m.cast<Eigen::bfloat16>();
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
