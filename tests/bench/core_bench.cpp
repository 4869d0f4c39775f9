// Speed of the kernels compared with their upper bounds: core_bench online N | settle N | product M
// K.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "core/decorrelation/decorrelator.hpp"

namespace lateral {
namespace {

using Clock = std::chrono::steady_clock;

/// Seconds of one call: the median of five runs of about 0.2 s each.
template <class F>
double seconds_of(F&& call) {
  call();
  std::vector<double> runs;
  for (int run = 0; run < 5; ++run) {
    const auto begin = Clock::now();
    int calls = 0;
    double elapsed = 0;
    do {
      call();
      ++calls;
      elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    } while (elapsed < 0.2);
    runs.push_back(elapsed / calls);
  }
  std::nth_element(runs.begin(), runs.begin() + 2, runs.end());
  return runs[2];
}

Compute make_compute(int threads) {
  return Compute{{find_entry(product_table(), default_product()), Precision::float32, threads, 0}};
}

int processors() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

/// One decorrelated sample at a time, one thread: x = R (z − mean), then R learns.
void online(Index n) {
  const Compute compute = make_compute(1);
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), "ahmad2024");
  params.demean = Demean::running;
  params.compute = &compute;
  Decorrelator decorrelator{params, n, 1, 1};
  DecorrelationStep training;
  Matrix samples(n, 64), x(n, 1);
  RandomStream(1, 1, 0, Purpose::generated_data).fill_normal(samples, 1.0);
  Index at = 0;
  const double step = seconds_of([&] {
    decorrelator.begin(training, 1);
    decorrelator.forward_train(training, 0, samples.col(at++ % samples.cols()), x);
    decorrelator.learn(training);
  });
  // The bounds: one read and one write of the matrix, at the rate of streaming memory, and at the
  // rate of a loop over a matrix of this size (small matrices stay in cache).
  constexpr Index large = 8192;  // 256 MB
  Matrix memory = Matrix::Ones(large, large);
  const double streaming = seconds_of([&] { memory *= Scalar{0.9999999F}; });
  Matrix R = Matrix::Identity(n, n);
  const double pass = seconds_of([&] { R *= Scalar{0.9999999F}; });
  const double share = static_cast<double>(n * n) / static_cast<double>(large * large);
  std::printf("step_us,%.2f\nbandwidth_us,%.2f\npass_us,%.2f\nstream_gb_per_s,%.1f\n", 1e6 * step,
              1e6 * streaming * share, 1e6 * pass,
              1e-9 * 2 * sizeof(Scalar) * static_cast<double>(memory.size()) / streaming);
}

/// Euler settling of 256 samples on all processors, beside products of the same shape.
void settling(Index n) {
  constexpr Index batch = 256;
  const Compute compute = make_compute(processors());
  const RandomStream random(1, 1, 0, Purpose::generated_data);
  // The identity plus a matrix of low rank, as decorrelation produces it: eigenvalues in [1, 2].
  Matrix directions(n, 32);
  random.fill_normal(directions, 1 / std::sqrt(static_cast<double>(n)));
  Matrix M = Matrix::Identity(n, n);
  M.noalias() += Scalar{0.7F} * directions * directions.transpose();
  Matrix z(n, batch), x(n, batch);
  random.fill_normal(z, 1.0);
  const std::unique_ptr<Integrator> euler = find_entry(integrator_table(), "euler")();
  SettleWorkspace workspace;
  Settled settled;
  const double seconds = seconds_of([&] {
    x.setZero();
    settled = settle({}, *euler, {1, Scalar{2.2F}}, {M, false, compute}, z, x, workspace);
  });
  const double product = 2.0 * static_cast<double>(n) * static_cast<double>(n) * batch;
  const double plain = seconds_of([&] { compute.apply({M}, z, x); });
  std::printf("settle_gflops,%.1f\ngemm_gflops,%.1f\nsteps,%d\nresidual,%.2g\n",
              1e-9 * product * settled.mean_steps / seconds, 1e-9 * product / plain, settled.steps,
              settled.residual);
}

/// The products of a layer of M units with K inputs, batch 256, on all processors.
void products(Index m, Index k) {
  constexpr Index batch = 256;
  for (const Precision precision : {Precision::float32, Precision::bf16}) {
    const Compute compute{
        {find_entry(product_table(), default_product()), precision, processors(), 0}};
    Matrix W = Matrix::Random(m, k), x = Matrix::Random(k, batch), a(m, batch);
    const double forward = seconds_of([&] { compute.apply({W}, x, a); });
    const double backward = seconds_of([&] { compute.apply({W, true}, a, x); });
    std::printf("%s_forward_gflops,%.1f\n%s_backward_gflops,%.1f\n",
                precision == Precision::bf16 ? "bf16" : "float32",
                2e-9 * static_cast<double>(m * k * batch) / forward,
                precision == Precision::bf16 ? "bf16" : "float32",
                2e-9 * static_cast<double>(m * k * batch) / backward);
  }
}

int run(int argc, char** argv) {
  const auto number = [&](int i) { return static_cast<Index>(std::atol(argv[i])); };
  if (argc == 3 && std::strcmp(argv[1], "online") == 0 && number(2) > 0)
    online(number(2));
  else if (argc == 3 && std::strcmp(argv[1], "settle") == 0 && number(2) > 0)
    settling(number(2));
  else if (argc == 4 && std::strcmp(argv[1], "product") == 0 && number(2) > 0 && number(3) > 0)
    products(number(2), number(3));
  else
    return std::fprintf(stderr, "usage: core_bench online N | settle N | product M K\n"), 2;
  return 0;
}

}  // namespace
}  // namespace lateral

int main(int argc, char** argv) { return lateral::run(argc, argv); }
