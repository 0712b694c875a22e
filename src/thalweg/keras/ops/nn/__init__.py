"""keras.ops.nn: what neural networks are made of. Each function also works on KerasTensors."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.ops.nn.attention import dot_product_attention
    from thalweg.keras.ops.nn.convolution import (
        conv,
        conv_transpose,
        depthwise_conv,
        separable_conv,
    )
    from thalweg.keras.ops.nn.crossentropy import (
        binary_crossentropy,
        categorical_crossentropy,
        psnr,
        sparse_categorical_crossentropy,
    )
    from thalweg.keras.ops.nn.elementwise import (
        celu,
        elu,
        gelu,
        glu,
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_swish,
        hard_tanh,
        leaky_relu,
        log_sigmoid,
        log_softmax,
        polar,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        soft_shrink,
        softmax,
        softplus,
        softsign,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        squareplus,
        swish,
        tanh_shrink,
        threshold,
    )
    from thalweg.keras.ops.nn.encoding import multi_hot, one_hot
    from thalweg.keras.ops.nn.normalization import (
        batch_normalization,
        layer_normalization,
        moments,
        normalize,
        rms_normalization,
    )
    from thalweg.keras.ops.nn.patches import depth_to_space, fold, space_to_depth, unfold
    from thalweg.keras.ops.nn.pooling import (
        adaptive_average_pool,
        adaptive_max_pool,
        average_pool,
        max_pool,
    )
    from thalweg.keras.ops.nn.sequences import ctc_decode, ctc_loss
