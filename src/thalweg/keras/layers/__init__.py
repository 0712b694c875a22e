"""keras.layers: all layers by Keras' names."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.layers.activations.activation import (
        ELU,
        Activation,
        LeakyReLU,
        PReLU,
        ReLU,
        Softmax,
    )
    from thalweg.keras.layers.attention.grouped_query import (
        GroupedQueryAttention as GroupQueryAttention,
    )
    from thalweg.keras.layers.attention.multi_head import MultiHeadAttention
    from thalweg.keras.layers.attention.scores import AdditiveAttention, Attention
    from thalweg.keras.layers.convolutional.conv import Conv1D, Conv2D, Conv3D
    from thalweg.keras.layers.convolutional.conv import Conv1D as Convolution1D
    from thalweg.keras.layers.convolutional.conv import Conv2D as Convolution2D
    from thalweg.keras.layers.convolutional.conv import Conv3D as Convolution3D
    from thalweg.keras.layers.convolutional.conv_transpose import (
        Conv1DTranspose,
        Conv2DTranspose,
        Conv3DTranspose,
    )
    from thalweg.keras.layers.convolutional.conv_transpose import (
        Conv1DTranspose as Convolution1DTranspose,
    )
    from thalweg.keras.layers.convolutional.conv_transpose import (
        Conv2DTranspose as Convolution2DTranspose,
    )
    from thalweg.keras.layers.convolutional.conv_transpose import (
        Conv3DTranspose as Convolution3DTranspose,
    )
    from thalweg.keras.layers.convolutional.depthwise import DepthwiseConv1D, DepthwiseConv2D
    from thalweg.keras.layers.convolutional.separable import SeparableConv1D, SeparableConv2D
    from thalweg.keras.layers.convolutional.separable import (
        SeparableConv1D as SeparableConvolution1D,
    )
    from thalweg.keras.layers.convolutional.separable import (
        SeparableConv2D as SeparableConvolution2D,
    )
    from thalweg.keras.layers.core.dense import Dense
    from thalweg.keras.layers.core.einsum_dense import EinsumDense
    from thalweg.keras.layers.core.embedding import Embedding, ReversibleEmbedding
    from thalweg.keras.layers.core.input_layer import Input, InputLayer
    from thalweg.keras.layers.core.passing import Identity, Lambda, Masking, Wrapper
    from thalweg.keras.layers.input_spec import InputSpec
    from thalweg.keras.layers.layer import Layer
    from thalweg.keras.layers.merging.merge import (
        Add,
        Average,
        Concatenate,
        Dot,
        Maximum,
        Minimum,
        Multiply,
        Subtract,
        add,
        average,
        concatenate,
        dot,
        maximum,
        minimum,
        multiply,
        subtract,
    )
    from thalweg.keras.layers.named import deserialize, serialize
    from thalweg.keras.layers.normalization.batch import BatchNormalization
    from thalweg.keras.layers.normalization.samples import (
        GroupNormalization,
        LayerNormalization,
        RMSNormalization,
        SpectralNormalization,
        UnitNormalization,
    )
    from thalweg.keras.layers.pooling.pools import (
        AdaptiveAveragePooling1D,
        AdaptiveAveragePooling2D,
        AdaptiveAveragePooling3D,
        AdaptiveMaxPooling1D,
        AdaptiveMaxPooling2D,
        AdaptiveMaxPooling3D,
        AveragePooling1D,
        AveragePooling2D,
        AveragePooling3D,
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        GlobalAveragePooling3D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        GlobalMaxPooling3D,
        MaxPooling1D,
        MaxPooling2D,
        MaxPooling3D,
    )
    from thalweg.keras.layers.pooling.pools import AveragePooling1D as AvgPool1D
    from thalweg.keras.layers.pooling.pools import AveragePooling2D as AvgPool2D
    from thalweg.keras.layers.pooling.pools import AveragePooling3D as AvgPool3D
    from thalweg.keras.layers.pooling.pools import GlobalAveragePooling1D as GlobalAvgPool1D
    from thalweg.keras.layers.pooling.pools import GlobalAveragePooling2D as GlobalAvgPool2D
    from thalweg.keras.layers.pooling.pools import GlobalAveragePooling3D as GlobalAvgPool3D
    from thalweg.keras.layers.pooling.pools import GlobalMaxPooling1D as GlobalMaxPool1D
    from thalweg.keras.layers.pooling.pools import GlobalMaxPooling2D as GlobalMaxPool2D
    from thalweg.keras.layers.pooling.pools import GlobalMaxPooling3D as GlobalMaxPool3D
    from thalweg.keras.layers.pooling.pools import MaxPooling1D as MaxPool1D
    from thalweg.keras.layers.pooling.pools import MaxPooling2D as MaxPool2D
    from thalweg.keras.layers.pooling.pools import MaxPooling3D as MaxPool3D
    from thalweg.keras.layers.preprocessing.normalization import Normalization
    from thalweg.keras.layers.regularization.dropout import (
        ActivityRegularization,
        AlphaDropout,
        Dropout,
        GaussianDropout,
        GaussianNoise,
        SpatialDropout1D,
        SpatialDropout2D,
        SpatialDropout3D,
    )
    from thalweg.keras.layers.reshaping.borders import (
        Cropping1D,
        Cropping2D,
        Cropping3D,
        UpSampling1D,
        UpSampling2D,
        UpSampling3D,
        ZeroPadding1D,
        ZeroPadding2D,
        ZeroPadding3D,
    )
    from thalweg.keras.layers.reshaping.reshape import Flatten, Permute, RepeatVector, Reshape
    from thalweg.keras.layers.rnn.bidirectional import Bidirectional
    from thalweg.keras.layers.rnn.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
    from thalweg.keras.layers.rnn.gru import GRU, GRUCell
    from thalweg.keras.layers.rnn.lstm import LSTM, LSTMCell
    from thalweg.keras.layers.rnn.recurrent import RNN, StackedRNNCells
    from thalweg.keras.layers.rnn.simple_rnn import SimpleRNN, SimpleRNNCell
    from thalweg.keras.layers.rnn.time_distributed import TimeDistributed
